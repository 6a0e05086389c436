"""Broadcast: every LLM request of any router, as OpenTelemetry spans, where a team already looks.

-- ring 0: pure. No I/O, no clock, no database
additions           What a person adds to a destination: attributes of the resource, and patterns of what
                    must not leave.
answers             What an answer means: the records of answers, and how they are judged by status and by
                    OTLP's rules.
content             How content is bound to its receipt: sealed with the workspace key, opened only for that
                    id.
destination         The port: what a destination type declares, and the records it trades in.
errors              Every exception of the project, drawn as a tree.
fates               What becomes of a receipt at a destination, and a map of it in 3 bits a receipt.
fields              The vocabulary of settings: what a destination type declares once and everything else
                    reads.
filters             Does this destination want this receipt? Keys first, then groups of rules: any group may
                    hold.
genai               A receipt becomes a span tree (CONTRACT section 4); the attribute names are in
                    `genai_names`.
genai_attributes    The generation's attributes, group by group; the names are in `genai_names`.
genai_measures      What differs from request to request, worked out: `genai` and `genai_attributes` only
                    give it names.
genai_names         Attribute names: the GenAI conventions as of v1.41.1, OpenRouter's additions, and the
                    router's own.
generation_groups   The opt-in groups of a destination: cost, its allocation, identity, request context, by
                    OpenRouter's names.
json_text           JSON as strangers send it: split without recursion, mended where the meaning is clear,
                    else refused.
messages            Content as the conventions' message JSON, whatever API it came through; binary parts
                    become a description.
moulds              Requests of a kind become the same text but for their own values: it is written once,
                    with places for them.
multimodal          Images, sounds and files within content, told in a few words: what they are, never what
                    is in them.
otlp                Spans to OTLP/JSON: hex ids, 64-bit integers as text, numbers for enums.
otlp_metrics        Metrics to OTLP, as protobuf or JSON: cumulative sums and histograms with the
                    conventions' boundaries.
otlp_protobuf       Spans to OTLP protobuf, for receivers that refuse JSON.
pastes              Pastes: a value taken out of what people copy it with, where it can be one thing only.
patterns            Regular expressions that end in time linear in the text, whatever a stranger wrote in
                    either.
privacy             What may leave: an allow-list, applied before any code of a destination runs.
pseudonyms          Keyed hashes in the place of what was said and of who said it.
receipt             The receipt: the immutable record of one finished router request (CONTRACT, section 3).
receipt_parser      Bytes to receipts and back: the wire form of CONTRACT section 3, and the document that
                    is stored.
receipt_size        Make a receipt no larger than a posted one may be: long texts of its content are cut,
                    and it says so.
receipt_words       Why a receipt is refused, as sentences that name the field and the fix.
redaction           Personal data and credentials in text, known by their form, and replaced by what they
                    are: `[email]`.
remembered          What was made before and may be asked for again: bounded, and nothing that cannot be
                    made once more.
report              The report of one live test: what was reached, what was accepted, and what to do about
                    it.
request             What travels: a batch, the request that it becomes, and the loan that some requests need
                    first.
retry               When to try again: one back-off per destination, which is also its breaker.
runs                Numbers in order, kept as runs: a day of receipts is a few pairs, not a million numbers.
sampling            Which receipts a destination gets: the same ones whenever it is asked, and raising the
                    rate only adds.
send_faults         What is said where no usable answer came, whichever way a request went: stage, word,
                    sentence.
series              Series: what requests come to by the conventions' labels, as sums and histograms that
                    only grow.
setting_checks      What a value has to be: mended where a paste can mean one thing only, else refused in a
                    sentence.
sketch              Sketches: how durations are distributed, as counts in buckets that grow by a twelfth of
                    an octave.
sources             What others send, translated to receipts; pure: nothing here reads a clock, a file or
                    the network.
span                Spans as plain records: what `genai` makes and the encoders write.
tally               Tallies: what requests come to, added up exactly; an unknown cost is counted, never
                    taken for 0.
times               Instants as the outside reads them.
trace_context       Trace ids, span ids and W3C `traceparent`, all derived from the receipt, so that a
                    repeat is the same span.
trace_metadata      The caller's `trace` object as attributes: data, never structure, and never a name of
                    ours.
truncation          Make a receipt's spans fit: content is cut first so that JSON stays JSON, then the
                    longest metadata.
-- ring 1: doors, each to one package that does I/O, and what reads the environment
allocator           The C library's memory, kept for the next batch instead of given back and asked for page
                    by page again.
compression         Gzip both ways: level 1 of ISA-L out, and in only as far as a limit.
config              The environment as one frozen record; the only reader of `os.environ`.
declared_file       A file of the operator's (YAML), read strictly: every error names its variable, the
                    place and the fix.
egress              Which addresses may be dialled.
exchange            One HTTP request and its answer, over a connection of aiohttp's pool. doors: aiohttp,
                    yarl.
failpoints          Named places where a test kills this process: nothing is armed unless
                    `BROADCAST_FAILPOINT` says so.
grpc_answers        What a gRPC call came to, in the words and numbers that every answer is judged by.
grpc_transport      Calls over gRPC, to addresses that `transport` has judged. Door: grpcio.
logs                Logging for people or for machines: one line an event, to standard error.
mail                Send a mail through the operator's server. door: smtplib.
meters              What this process counts and times by itself, for Prometheus. door: prometheus_client.
oidc                Ask the operator's identity provider who somebody is. door: authlib, joserfc.
oidc_discovery      What the identity provider publishes, and every call to it. door: authlib, joserfc.
oidc_settings       Which identity provider people may sign in with, as the operator's variables say.
operator_declarationThe operator's export as declared: by OpenTelemetry's variables, by a file, or by both.
otel_variables      OpenTelemetry's standard variables, as far as they say where and how traces and metrics
                    are exported.
outbound            Calls to addresses the operator configured, such as providers; the door of `urllib3`.
store               Tables and queries; the only place that speaks SQL.
transport           Send one request to an address that a tenant typed.
variables           One environment variable: its value, or what stands in the file that `NAME_FILE` names.
vault               Seal and open secrets and content.
-- ring 2: use cases; each opens and closes its own transactions
accounts            Who is asking and what they may do: users, workspaces, roles, login sessions and keys.
activity            What the pages show of a workspace: its requests, one request with its spans, members,
                    attempts.
agenda              The agenda of a worker: in which workspaces it looks next, those first that wait the
                    longest.
audit_trail         Who changed what in a workspace, in pages, newest first.
batches             Batches: what a destination gets next, from its cursor or its replay on, as requests
                    ready to send.
budget              A bound on the memory of everything that is under way.
claim_order         In which order claims are served: small batches first, so that large ones never stop
                    them.
connections         Configured destinations: test, save (only after a passed test), pause, resume, switch,
                    delete.
credentials         Passwords, keys and tokens, made and recognised without database or clock; the door of
                    argon2.
delivery            Delivery: claim destinations that are owed something, build, send, and record what
                    became of it.
draft               What a destination should be: the body of create and PATCH, checked, and merged with
                    what is stored.
fate_words          What became of one receipt at one destination, when, and why, in words.
fated               The receipts behind each term of a destination's ledger, newest first.
figures             Figures: what a workspace's requests of a window come to, exact to the last receipt.
filling             One destination's next batch, being filled: decide about each receipt, encode it, close
                    a request in time.
flights             What is under way at a worker: a task for each destination, and where to look again when
                    it has ended.
foreign             Take in what other programs report: stored as any receipt is, and never lost to an id
                    that they repeat.
gate                The gate: a destination is saved only after a passed live test. One rule for page, API
                    and command line.
gateway             Serve requests of four APIs over upstream providers, and hand back the receipt of each.
generation          A receipt as OpenRouter's `GET /generation` shows it, and as `GET /requests` does.
generation_content  What a request asked and was answered, as OpenRouter's `GET /generation/content` tells
                    it, while kept.
guests              Contents that nobody owes any more are dropped: content is a guest.
history             What happened at a destination, in pages, newest first: its attempts and its dead
                    letters.
ingest              Accept receipts: parsed where they arrive, stored by one writer at a time, answered
                    after the commit.
ingest_writer       One writer at a time: takes what waits, up to a thousand receipts, as one durable
                    transaction.
invitations         Join a workspace by a link: made for one address and one role, used once, over after a
                    week.
key_access          Keys: made, listed, revoked, and recognised on every request.
lanes               Lanes: a worker's writes take turns, so that outcomes, claims and chores never wait for
                    each other.
ledger              What a destination is doing, and the proof that all of its receipts are accounted for.
lending             Sends what needs a loan first: a role's keys are fetched once, and used until shortly
                    before their end.
members             The people of a workspace: their roles, and how they leave.
metric_counting     Metric counting: each destination's metrics follow the log by themselves, each receipt
                    counted once.
metric_export       Metric export: send what each destination's metrics have come to, at its interval,
                    beside the spans.
metric_status       How a destination's metrics are doing: for its page, the API and the command line.
notice_settings     How a workspace is told of a destination that needs attention: mail on or off, and one
                    webhook.
notice_webhook      The address that a workspace is told at: sealed, opened, and posted to by the rules of
                    egress.
notice_words        What a notice says, by mail and by webhook: what happened, what is held, what to do.
notices             Tell a workspace that a destination needs attention, or delivers again: once, by each
                    way it has chosen.
operator_export     The operator's export: declared once, in every workspace as a destination that nobody
                    changes there.
outcomes            What a try at a batch came to: judged, cut to the finished prefix, and what is to be
                    recorded of it.
overview            What the Activity page asks: a window, some filters, and what the requests in it come
                    to.
paging              Pages of lists, newest first, with an opaque cursor to the older ones.
passwords           A new password: by who knows the old one, or by a link that is mailed or that the
                    operator prints.
preview             What a replay would send, counted and weighed before anything is sent.
proof               The proof that nothing is lost: ledgers against attempts, dead letters and the log
                    itself.
query_text          What a query asks, read from its texts: one reading for the API and for the command
                    line.
rate_limit          How often something may be done within a time, counted for all processes together.
recorder            Outcomes recorded: in groups, in a lane of their own, and never so often that ingest
                    starves.
replay              Replay and backfill: receipts sent to one destination once more, with the ids they had.
request_log         The list of requests as the API says it: newest first, or in the order of arrival for
                    whoever follows.
retention           Retention: what is too old goes, in steps so small that ingest never waits for one.
rollup              Rollup: each log is added up behind its head, like a destination that takes everything.
scrape              Everything Prometheus may ask, as its text: this process's own, and what the database
                    knows of the whole.
selection           Which receipts a replay is about: found by time, by id or by dead letter, less those
                    still on their way.
sending             Sending one batch: its requests side by side, and a poison receipt found by halving.
settings_apply      Settings applied to a whole workspace: planned, tested before anything is saved, then
                    saved.
settings_file       A workspace's destinations and switch as a YAML file that may lie in a repository: it
                    holds no secret.
settings_plan       A workspace's destinations and switch as one whole: what settings would change in it.
shared_log          What destinations of a workspace have in common: receipts read, opened, encoded and
                    compressed once.
shares              Shares: in which workspaces a worker looks first, so that not every worker looks at
                    every receipt.
shelf               Configured destinations, looked at: what they are, what they do, what became of receipts
                    there.
sign_in             Sign in by the operator's identity provider.
span_ingest         Take in an OTLP export: requests to models are stored as receipts, other spans are told
                    why not.
specimen            A specimen: the one request that a destination would get for a receipt, made as delivery
                    makes it.
strays              Stray leases: those that nobody works under, because the database went while they
                    changed.
sums_proof          The proof that the sums are those of the receipts: each day that is kept whole is
                    counted again.
usage               What was used: the usage of a span of time, and OpenRouter's activity by day, model and
                    provider.
variation           A variation: what destinations have in common when they get the same bytes for a
                    receipt.
views               Ready-made views: the dashboards, alert rules and boards that belong to a destination,
                    filled in.
wanted              What somebody wants replayed: one way to say it for API, page and command line.
worker_report       What a worker says of itself, every few seconds: it may run on another machine than who
                    asks.
workspace_life      A workspace from its making to its end: who makes it owns it, and only an owner deletes
                    it.
-- ring 3: processes, and the command that starts them
__main__            Where the program is assembled: the command, and the web application that the server
                    asks for.
cli                 The `broadcast` command. Door: click.
cli_client          Which instance a command asks: this machine's database, or another instance at a URL.
                    Door: click.
cli_destinations    `broadcast destinations`: look at them, test, pause, resume, replay. Door: click.
cli_output          How commands print: aligned tables for people, the API's object for machines. Door:
                    click.
cli_program         What every command begins with: the configuration, the destination types, the assembled
                    program.
cli_requests        `broadcast usage` and `broadcast requests`: what was asked, and what it came to. Door:
                    click.
cli_settings        `broadcast export`, `broadcast apply`: destinations and switch as a file without
                    secrets. Door: click.
cli_status          `broadcast status`: what every destination is doing. Door: click.
cli_users           The people of this server, by whoever holds its command line. Door: click.
demo                The demo's first start: a workspace, a login, keys and the embedded receiver as a
                    destination.
doctor              What could be wrong with an installation, looked at one by one, each with what to do.
local               This machine's instance as the command line sees it: the API's objects, read from the
                    database itself.
reloading           What the operator may change without a restart: the operator's export, and the file of
                    upstreams.
remote              Another machine's instance as the command line sees it: the API over HTTP, its errors as
                    our own.
rotation            Encryption keys over time: wrap everything with the first key, and prove that everything
                    opens.
runtime             The assembled program: every use case, built once from the configuration and passed
                    down.
serving             The web server and the worker as processes: start, watch, stop. Door: granian.
status              What every destination is doing, for the `status` command and for the API.
worker              The worker process: scheduler, event loop, clean stop. doors: apscheduler, uvloop.
"""

__version__ = "1.0.0"
