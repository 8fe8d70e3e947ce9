// What a page may call: the names that a module exports, each with the methods of what it holds.
const module = await import(process.argv[2]);
const names = Object.entries(module).map(([name, held]) => [name, Object.keys(Object(held))]);
process.stdout.write(JSON.stringify(Object.fromEntries(names)));
