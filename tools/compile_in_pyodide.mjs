// Make with Pyodide's interpreter what a page would have to make each time that it starts Python:
// sympy.zip     wheels that are not in the folder, compiled, without their tests and docstrings
// compiled.zip  the Python files of wheels of the folder, compiled
// snapshot.bin  the memory of an interpreter that has just started, and has imported what NumPy, SymPy and matplotlib
//               need of the standard library
//     node compile_in_pyodide.mjs PYODIDE.MJS FOLDER WHEEL... -- WHEEL_OF_THE_FOLDER...
import fs from "node:fs";
import path from "node:path";
import url from "node:url";

const [pyodide, folder, ...wheels] = process.argv.slice(2);
const split = wheels.indexOf("--");
const [others, own] = [wheels.slice(0, split), wheels.slice(split + 1).map(name => path.join(folder, name))];
const {loadPyodide} = await import(url.pathToFileURL(pyodide));
const env = {HOME: "/home", MPLBACKEND: "module://pictures"};
const start = options => loadPyodide({indexURL: folder, env, ...options});
const bytes = file => new Uint8Array(fs.readFileSync(file));

const python = await start();
for (const [name, archives] of [["sympy.zip", others], ["compiled.zip", own]]) {
  python.runPython("import shutil; shutil.rmtree('/source', ignore_errors=True)");
  for (const wheel of archives) python.unpackArchive(bytes(wheel).buffer, "zip", {extractDir: "/source"});
  python.runPython(fs.readFileSync(path.join(import.meta.dirname, "compile_packages.py"), "utf8"));
  python.runPython(`compile_packages("/source", "/${name}")`);
  fs.writeFileSync(path.join(folder, name), python.FS.readFile(`/${name}`));
}

await python.loadPackage("matplotlib");
const modules = python.runPython(`
import sys

before = set(sys.modules)
sys.path.append("/sympy.zip")
import matplotlib.figure, matplotlib.backends.backend_agg, numpy, sympy

" ".join(sorted(name for name in set(sys.modules) - before if name.split(".")[0] in sys.stdlib_module_names))
`);

const started = await start({_makeSnapshot: true});
started.runPython(`import importlib\nfor name in "${modules}".split(): importlib.import_module(name)`);
fs.writeFileSync(path.join(folder, "snapshot.bin"), started.makeMemorySnapshot());
