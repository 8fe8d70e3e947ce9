// Vite's own dev server for the folder that is named, on a free port, until stdin ends.
import { once } from 'node:events';
import { createServer as listen } from 'node:net';
import { createServer } from 'vite';

const free = listen().listen(0, '127.0.0.1');
await once(free, 'listening');
const { port } = free.address();
free.close();
await once(free, 'close');

/** What a request looks like from here. */
const seen = {
  name: 'seen',
  configureServer: ({ middlewares }) => {
    middlewares.use('/__seen', (request, response) => response.end(JSON.stringify(request.headers)));
  },
};

const vite = await createServer({
  root: process.argv[2],
  configFile: false,
  plugins: [seen],
  logLevel: 'silent',
  server: { host: '127.0.0.1', port, strictPort: true },
});
await vite.listen();
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
console.log(JSON.stringify({ url: `http://127.0.0.1:${port}` }));
