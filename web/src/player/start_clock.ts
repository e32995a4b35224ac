/** From the tap or swipe to the first frame on screen, in milliseconds. */

/** Calls back once with the moment (performance.now) of the next frame presented; returns a function that cancels. */
export function onNextFrame(element: HTMLVideoElement, callback: (at: number) => void): () => void {
  if ("requestVideoFrameCallback" in element) {
    const handle = element.requestVideoFrameCallback((now) => callback(now));
    return () => element.cancelVideoFrameCallback(handle);
  }
  const media = element as HTMLMediaElement;
  const listen = (): void => callback(performance.now());
  media.addEventListener("timeupdate", listen, { once: true });
  return () => media.removeEventListener("timeupdate", listen);
}
