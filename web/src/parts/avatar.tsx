/** A person's picture, or their initial on a colour that is always theirs. */
type Props = { user: { username: string; displayName?: string; avatarUrl?: string | null }; size?: number };

export function Avatar({ user, size = 40 }: Props) {
  const style = { width: size, height: size, fontSize: size * 0.42 };
  if (user.avatarUrl) return <img class="avatar" src={user.avatarUrl} alt="" style={style} loading="lazy" />;
  const hue = hueOf(user.username);
  const background = `linear-gradient(135deg, hsl(${hue} 62% 38%), hsl(${(hue + 48) % 360} 66% 30%))`;
  return (
    <span class="avatar" style={{ ...style, background }} aria-hidden="true">
      {[...(user.displayName || user.username)][0]?.toUpperCase()}
    </span>
  );
}

function hueOf(text: string): number {
  let hash = 7;
  for (const char of text) hash = (hash * 31 + char.codePointAt(0)!) % 360;
  return hash;
}
