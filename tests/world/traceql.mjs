// Prints which of the queries on standard input Grafana's own grammar does not understand.
import { readFileSync } from "node:fs";
import { parser } from "@grafana/lezer-traceql";

const understood = (query) => {
  let good = true;
  parser.parse(query).iterate({ enter: (node) => { good &&= !node.type.isError; } });
  return good;
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).filter((query) => !understood(query))));
