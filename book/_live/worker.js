// Python in a worker. The page hands in every file that is asked for: a page that was opened by a double click may load
// scripts, but neither it nor its worker may fetch a file.
const TYPES = {wasm: "application/wasm", json: "application/json"};
const SITE = "/lib/python3.12/site-packages";
const waiting = new Map();
const file = name => new Promise(found => {
  waiting.set(name, found);
  postMessage({need: name});
});
self.fetch = async asked => {
  const name = String(asked.url ?? asked).split("/").pop();
  const type = TYPES[name.split(".").pop()] ?? "application/octet-stream";
  return new Response(await file(name), {headers: {"content-type": type}});
};
const script = async name => importScripts(URL.createObjectURL(new Blob([await file(name)])));

let python, run, packages;
const start = async () => {
  await script("pyodide.asm.js");
  await script("pyodide.js");
  const lock = JSON.parse(new TextDecoder().decode(await file("pyodide-lock.json")));
  packages = Object.fromEntries(Object.entries(lock.packages).flatMap(
    ([name, {imports}]) => imports.map(imported => [imported, name])));
  // The memory of an interpreter that has started elsewhere, its environment included (tools/compile_in_pyodide.mjs).
  python = await loadPyodide({indexURL: "file:///python/", _loadSnapshot: await file("snapshot.bin.gz")});
  await python.loadPackage(["numpy", "lark", "latex2mathml"], {messageCallback: () => {}});
  python.FS.writeFile("/sympy.zip", new Uint8Array(await file("sympy.zip")));  // Python reads modules from a zip, too
  python.unpackArchive(await file("lossbook.zip"), "zip", {extractDir: SITE});
  for (const name of ["cells.py", "pictures.py"]) python.FS.writeFile(`${SITE}/${name}`, new Uint8Array(await file(name)));
  run = python.runPython("import sys; sys.path.append('/sympy.zip'); import cells; cells.run");
};
const started = start();

// A cell that stops for want of a module runs again when the page has it.
const runCell = async (source, name) => {
  await started;
  let result = JSON.parse(run(source, name));
  const loaded = new Set();
  while (result.missing in packages && !loaded.has(result.missing)) {
    loaded.add(result.missing);
    await python.loadPackage([packages[result.missing]], {messageCallback: () => {}});
    result = JSON.parse(run(source, name));
  }
  return result.outputs;
};

onmessage = async ({data}) => {
  if ("bytes" in data) return waiting.get(data.name)(data.bytes);
  try {
    postMessage({outputs: await runCell(data.source, data.name)});
  } catch (error) {
    postMessage({failed: String(error)});
  }
};
