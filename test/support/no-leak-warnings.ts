// Node.js warns of listeners that pile up, on the standard error of whoever serves: in tests, this is an error.
process.on("warning", (warning) => {
  if (warning.name === "MaxListenersExceededWarning") throw warning;
});
