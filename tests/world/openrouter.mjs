// Drives the official TypeScript SDK, unmodified, and prints what it returned as JSON:
//   API_KEY=... MANAGEMENT_KEY=... node openrouter.mjs BASE_URL TOPIC ['{"options": ...}']
import { OpenRouter } from "@openrouter/sdk";

const [serverURL, topic, options = "{}"] = process.argv.slice(2);
const client = new OpenRouter({ serverURL, apiKey: process.env.API_KEY, retryConfig: { strategy: "none" } });
const manager = new OpenRouter({
  serverURL,
  apiKey: process.env.MANAGEMENT_KEY,
  retryConfig: { strategy: "none" },
});

const asked = {
  model: "demo/echo",
  messages: [{ role: "user", content: "Where is order 7?" }],
  user: "user-7",
  sessionId: "session-42",
  trace: { traceName: "Answer a question", generationName: "Write", additionalProperties: { feature: "search" } },
};

async function all(pages) {
  const found = [];
  for await (const page of pages) found.push(...page.result.data);
  return found;
}

async function refused(request) {
  try {
    await request;
    return null;
  } catch (error) {
    return { status: error.statusCode, name: error.name, code: error.error?.code, message: error.message };
  }
}

// A destination of a type that OpenRouter does not have is handed through as it came.
function seen(destination) {
  const { id, type, name, enabled } = destination.isUnknown ? destination.raw : destination;
  const samplingRate = destination.isUnknown ? destination.raw.sampling_rate : destination.samplingRate;
  const privacyMode = destination.isUnknown ? destination.raw.privacy_mode : destination.privacyMode;
  return { id, type, name, enabled, samplingRate, privacyMode };
}

const topics = {
  async chat() {
    const answer = await client.chat.send({ chatRequest: asked });
    return { id: answer.id, text: answer.choices[0].message.content, usage: answer.usage };
  },

  async stream() {
    const chunks = [];
    for await (const chunk of await client.chat.send({ chatRequest: { ...asked, stream: true } })) chunks.push(chunk);
    const text = chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join("");
    return { ids: [...new Set(chunks.map((chunk) => chunk.id))], text, count: chunks.length };
  },

  async failure() {
    return refused(client.chat.send({ chatRequest: { ...asked, model: "no/such-model" } }));
  },

  async responses() {
    const answer = await client.responses.send({
      responsesRequest: { model: asked.model, input: "Where is order 7?", user: asked.user, sessionId: asked.sessionId, trace: asked.trace },
    });
    return { id: answer.id, status: answer.status };
  },

  async embeddings() {
    const answer = await client.embeddings.generate({ requestBody: { model: asked.model, input: "Where is order 7?", user: asked.user } });
    return { id: answer.id, count: answer.data.length };
  },

  async models() {
    const pages = await client.models.list();
    const found = await all(pages);
    return found.map((model) => model.id);
  },

  async generation({ id }) {
    const { data } = await client.generations.getGeneration({ id });
    return data;
  },

  async activity() {
    const { data } = await manager.analytics.getUserActivity();
    return data;
  },

  async keys() {
    const made = await manager.apiKeys.create({ requestBody: { name: "From TypeScript" } });
    const hash = made.data.hash;
    const own = new OpenRouter({ serverURL, apiKey: made.key });
    const current = await own.apiKeys.getCurrentKeyMetadata();
    const updated = await manager.apiKeys.update({ hash, requestBody: { name: "Renamed", disabled: true } });
    const got = await manager.apiKeys.get({ hash });
    const listed = await manager.apiKeys.list({ includeDisabled: true });
    const deleted = await manager.apiKeys.delete({ hash });
    return {
      key: made.key,
      made: made.data,
      current: current.data,
      updated: updated.data,
      got: got.data,
      listed: listed.data.map((key) => key.hash),
      deleted: deleted.deleted,
      gone: await refused(manager.apiKeys.get({ hash })),
    };
  },

  async workspaces() {
    const made = await manager.workspaces.create({ createWorkspaceRequest: { name: "From TypeScript", slug: "from-typescript" } });
    const id = made.data.id;
    const updated = await manager.workspaces.update({
      id,
      updateWorkspaceRequest: { name: "Renamed", isObservabilityBroadcastEnabled: true },
    });
    const got = await manager.workspaces.get({ id });
    const listed = await all(await manager.workspaces.list());
    const deleted = await manager.workspaces.delete({ id });
    return {
      made: made.data,
      updated: updated.data,
      got: got.data,
      listed: listed.map((workspace) => workspace.id),
      deleted: deleted.deleted,
      gone: await refused(manager.workspaces.get({ id })),
    };
  },

  async destination({ type, config }) {
    const { data: created } = await manager.observability.create({
      createObservabilityDestinationRequest: {
        type,
        config,
        name: `A ${type}`,
        samplingRate: 0.5,
        privacyMode: true,
        filterRules: { groups: [{ logic: "and", rules: [{ field: "model", operator: "equals", value: "m/x" }] }] },
      },
    });
    const made = seen(created);
    const id = made.id;
    const got = await manager.observability.get({ id });
    const listed = await all(await manager.observability.list());
    const updated = await manager.observability.update({
      id,
      updateObservabilityDestinationRequest: { name: `Renamed ${type}`, enabled: false, samplingRate: 1 },
    });
    const deleted = await manager.observability.delete({ id });
    return {
      made,
      got: seen(got.data),
      listed: listed.map((destination) => seen(destination).id),
      updated: seen(updated.data),
      deleted: deleted.deleted,
      gone: await refused(manager.observability.get({ id })),
    };
  },
};

console.log(JSON.stringify(await topics[topic](JSON.parse(options))));
