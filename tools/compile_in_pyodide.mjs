// Compile the Python files of wheels with Pyodide's interpreter into one zip file, without their tests and docstrings.
//     node compile_in_pyodide.mjs PYODIDE.MJS RESULT.ZIP WHEEL...
import fs from "node:fs";
import path from "node:path";
import url from "node:url";

const [pyodide, result, ...wheels] = process.argv.slice(2);
const {loadPyodide} = await import(url.pathToFileURL(pyodide));
const python = await loadPyodide({indexURL: path.dirname(pyodide)});
for (const wheel of wheels) {
  python.unpackArchive(new Uint8Array(fs.readFileSync(wheel)).buffer, "zip", {extractDir: "/source"});
}
const program = path.join(path.dirname(url.fileURLToPath(import.meta.url)), "compile_packages.py");
python.runPython(fs.readFileSync(program, "utf8"));
fs.writeFileSync(result, python.FS.readFile("/compiled.zip"));
