import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Reads what to end from its standard input, and ends it when that closes: when the owner says so, and also when the
 * owner is killed. A directory may get another file from a process that is just ending, so it is removed until it is gone.
 */
const SCRIPT = `
processes= containers= directories=
without() { for each in $1; do [ "$each" = "$2" ] || printf '%s ' "$each"; done; }
while read -r verb thing; do
  case $verb in
    process) processes="$processes $thing" ;;
    gone) processes=$(without "$processes" "$thing") ;;
    container) containers="$containers $thing" ;;
    directory) directories="$directories
$thing" ;;
  esac
done
for each in $processes; do kill -KILL "$each" 2>/dev/null; done
for each in $containers; do docker rm --force --volumes "$each" >/dev/null 2>&1; done
IFS='
'
for each in $directories; do
  tries=0
  until rm -rf "$each" 2>/dev/null || [ "$tries" -ge 100 ]; do tries=$((tries + 1)); sleep 0.1; done
done
`;

/** Ends processes and containers and removes directories, when it is closed or when this process ends in any way. */
export class Guardian implements AsyncDisposable {
  readonly #shell: ChildProcess;

  constructor() {
    // A session of its own: Ctrl-C in the terminal, which stops the whole group, must not stop the guardian.
    this.#shell = spawn("/bin/sh", ["-c", SCRIPT], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
    this.#shell.unref();
    // Whoever kills the guardian, too, has to clear up.
    this.#shell.stdin?.on("error", () => {});
    // A worker of the test runner goes on without the runner when that is killed.
    if (process.connected) process.once("disconnect", this.#release);
  }

  /** Ends this process with SIGKILL; one that has been stopped, too. */
  ownProcess(child: ChildProcess): void {
    const { pid } = child;
    if (pid === undefined) return;
    this.#tell(`process ${pid}`);
    child.once("exit", () => this.#tell(`gone ${pid}`));
  }

  /** Removes this container with its volumes. */
  ownContainer(id: string): void {
    this.#tell(`container ${id}`);
  }

  /** Removes this directory with everything in it, after the processes have ended. */
  ownDirectory(path: string): void {
    if (path.includes("\n")) throw new Error("the path of a directory to remove has a line break in it");
    this.#tell(`directory ${path}`);
  }

  /** Ends everything now and waits for it. Idempotent. */
  async close(): Promise<void> {
    const running = this.#shell.exitCode === null && this.#shell.signalCode === null;
    this.#release();
    process.off("disconnect", this.#release);
    // Nothing else may be left that keeps this process until then.
    this.#shell.ref();
    if (running) await once(this.#shell, "exit");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #release = (): void => {
    this.#shell.stdin?.end();
  };

  #tell(line: string): void {
    const { stdin } = this.#shell;
    if (stdin?.writable === true) stdin.write(`${line}\n`);
  }
}
