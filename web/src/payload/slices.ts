// Long work in slices, so that the page stays usable. `step` does some work and says whether all is done.

export const SLICE_MS = 12;

export function inSlices(step: () => boolean, done: () => void, now: () => number = () => performance.now()): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const run = () => {
    timer = undefined;
    const until = now() + SLICE_MS;
    do {
      if (step()) {
        done();
        return;
      }
    } while (now() < until);
    timer = setTimeout(run);
  };
  run();
  return () => clearTimeout(timer);
}
