/** The mark: a reel whose centre is a play button popping out. */
import { useId } from "preact/hooks";

export function Logo({ size = 28 }: { size?: number }) {
  const id = useId(); // two logos on a page: a gradient inside a hidden one paints nothing
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" class="logo">
      <defs>
        <linearGradient id={id} x1="0" y1="0" x2="1" y2="1">
          <stop offset="0" stop-color="#ff5c7a" />
          <stop offset="1" stop-color="#7b5cff" />
        </linearGradient>
      </defs>
      <rect x="2" y="2" width="28" height="28" rx="9" fill={`url(#${id})`} />
      <path d="M12.2 9.6v12.8c0 .9 1 1.5 1.8 1l10-6.4c.7-.5.7-1.5 0-2l-10-6.4c-.8-.5-1.8.1-1.8 1Z" fill="#fff" />
    </svg>
  );
}
