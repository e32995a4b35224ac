/** What the browser can tell about a file before a byte is sent: length, shape and a strip of frames. */

export type Facts = { durationMs: number; width: number; height: number };

const GIVE_UP_MS = 8_000;

/** Facts of a file the browser can decode; null for those only the server can (MKV, HEVC, ...). */
export function inspect(url: string): Promise<Facts | null> {
  return new Promise((resolve) => {
    const video = document.createElement("video");
    const done = (facts: Facts | null): void => {
      clearTimeout(timer);
      video.removeAttribute("src");
      video.load();
      resolve(facts);
    };
    const timer = setTimeout(() => done(null), GIVE_UP_MS);
    video.preload = "metadata";
    video.onloadedmetadata = () => {
      const { duration, videoWidth: width, videoHeight: height } = video;
      done(Number.isFinite(duration) && width > 0 ? { durationMs: Math.round(duration * 1000), width, height } : null);
    };
    video.onerror = () => done(null);
    video.src = url;
  });
}

/** Small frames at even distances, as data URLs; fewer if decoding stops. */
export async function filmStrip(url: string, count: number, height: number): Promise<string[]> {
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "auto";
  video.src = url;
  const frames: string[] = [];
  try {
    await once(video, "loadeddata");
    const canvas = document.createElement("canvas");
    canvas.height = height;
    canvas.width = Math.round((height * video.videoWidth) / video.videoHeight);
    const context = canvas.getContext("2d");
    for (let index = 0; index < count && context; index += 1) {
      video.currentTime = (video.duration * (index + 0.5)) / count;
      await once(video, "seeked");
      context.drawImage(video, 0, 0, canvas.width, canvas.height);
      frames.push(canvas.toDataURL("image/jpeg", 0.6));
    }
  } catch {
    // a strip is a comfort: what has been drawn will do
  } finally {
    video.removeAttribute("src");
    video.load();
  }
  return frames;
}

function once(target: HTMLVideoElement, type: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("timeout")), GIVE_UP_MS);
    const finish = (act: () => void) => (): void => {
      clearTimeout(timer);
      act();
    };
    target.addEventListener(type, finish(resolve), { once: true });
    target.addEventListener("error", finish(() => reject(new Error("decode"))), { once: true });
  });
}
