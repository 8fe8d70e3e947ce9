// Node's own HTTP server, told to be lax, on the listening socket it inherits.
// It answers with what it heard and writes a line about it; a parser's error is a line as well.
import { createServer } from "node:http";

const tell = (heard) => process.stdout.write(`${JSON.stringify(heard)}\n`);

const server = createServer({ insecureHTTPParser: true, keepAlive: true }, (request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const { method, url: target } = request;
    tell({ method, target, body: Buffer.concat(parts).toString("latin1") });
    response.setHeader("content-type", "text/plain");
    response.end(`heard ${method} ${target}`);
  });
});
server.keepAliveTimeout = 0; // no idle connection is closed
server.on("clientError", (error, socket) => {
  if (error.code !== "ECONNRESET") tell({ method: "", target: "", body: error.code });
  socket.destroy();
});
server.listen({ fd: Number(process.argv[2]) });
