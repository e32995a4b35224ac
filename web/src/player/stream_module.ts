/** The player chunk (hls.js) is loaded after the first picture, or when somebody asks for it. */
type StreamModule = typeof import("./stream");

let loaded: StreamModule | null = null;
let loading: Promise<StreamModule | null> | null = null;

export function loadedStreamModule(): StreamModule | null {
  return loaded;
}

export function loadStreamModule(): Promise<StreamModule | null> {
  loading ??= import("./stream").then(
    (module) => {
      loaded = module;
      return module;
    },
    () => {
      loading = null; // offline just then: the next clip asks again
      return null;
    },
  );
  return loading;
}
