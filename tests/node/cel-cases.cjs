// The CEL specification's simple tests as one JSON object a line: file, section, name, expr, bindings, expect.
// Left out is what needs protobuf messages. Values are typed: {type, value}, 64-bit integers as text, bytes in Base64.
"use strict";
const { tests } = require("@bufbuild/cel-spec/testdata/conformance.js");

const MESSAGES = /\b[A-Z]\w*\{|TestAllTypes|NestedEnum|NullValue|google\.protobuf\.|proto\.(get|has)Ext/;
const TYPES = {
  null: "null", bool: "bool", int64: "int", uint64: "uint", double: "double", string: "string", bytes: "bytes",
  list: "list", map: "map", type: "type",
};
const ERROR = { type: "error" };
class Unsupported extends Error {}

// Doubles as Python prints them.
function double(value) {
  if (typeof value === "string") return { Infinity: "inf", "-Infinity": "-inf", NaN: "nan" }[value] ?? double(Number(value));
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  if (size >= 1e16 || (size < 1e-4 && size > 0)) return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

function typed(value) {
  const [key] = Object.keys(value);
  const type = TYPES[key.replace("Value", "")];
  const given = value[key];
  if (type === undefined) throw new Unsupported(key);
  if (type === "null") return { type, value: null };
  if (type === "double") return { type, value: double(given) };
  if (type === "list") return { type, value: (given.values ?? []).map(typed) };
  if (type === "map") return { type, value: (given.entries ?? []).map((one) => [typed(one.key), typed(one.value)]) };
  return { type, value: given };
}

function converted({ name, expr, bindings = {}, value, typedResult, evalError, checkOnly, container = "" }) {
  if (checkOnly || container !== "" || MESSAGES.test(expr)) throw new Unsupported(name);
  const result = value ?? typedResult?.result ?? { boolValue: true };
  const facts = Object.entries(bindings).map(([fact, one]) => [fact, typed(one.value)]);
  return { name, expr, bindings: Object.fromEntries(facts), expect: evalError ? ERROR : typed(result) };
}

for (const file of tests.suites) {
  for (const section of file.suites ?? []) {
    for (const { original } of section.tests ?? []) {
      try {
        console.log(JSON.stringify({ file: file.name, section: section.name, ...converted(original) }));
      } catch (error) {
        if (!(error instanceof Unsupported)) throw error;
      }
    }
  }
}
