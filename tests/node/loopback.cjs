// Loaded before the "everything" server, which has no option for its address and would listen on every interface.
// Keeps it on loopback, says on standard output which port the system chose, and ends it with whoever started it.
"use strict";
const { Server } = require("node:net");

const listen = Server.prototype.listen;
Server.prototype.listen = function (port, ...rest) {
  const callbacks = rest.filter((one) => typeof one === "function");
  this.once("listening", () => console.log(`listening on 127.0.0.1:${this.address().port}`));
  return listen.call(this, { port: Number(port), host: "127.0.0.1", exclusive: true }, ...callbacks);
};

process.stdin.resume();
process.stdin.once("close", () => process.exit(0));
