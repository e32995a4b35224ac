/** Shapes of the API as the screens use them; the routes' own documents are the authority (see docs/web.md). */
export type User = {
  id: string;
  username: string;
  displayName: string;
  bio?: string;
  avatarUrl?: string | null;
  verified?: boolean;
  private?: boolean;
  teen?: boolean;
  followerCount?: number;
  followingCount?: number;
  likeCount?: number;
  videoCount?: number;
  followedByMe?: boolean;
};

export type TokenReply = { accessToken: string; refreshToken: string; expiresIn: number; user: User };

export type Creator = { id: string; username: string; displayName: string; avatarUrl: string | null; verified: boolean };
export type Sound = { id: string; title: string; artist: string };
export type StartHint = { rendition: string; mp4Url: string; playlist: string; initBytes: number; prefixBytes: number };
export type Why = { source: string; text: string };

export type FeedItem = {
  id: string;
  user: Creator;
  title: string;
  description: string;
  hashtags: string[];
  sound: Sound | null;
  durationMs: number;
  width: number;
  height: number;
  urls: Record<string, string>;
  thumbnail: string;
  thumbhash: string;
  /** null while a video of one's own does not play yet. */
  start: StartHint | null;
  viewCount: number;
  likeCount: number;
  commentCount: number;
  shareCount: number;
  liked: boolean;
  bookmarked?: boolean;
  createdAtMs: number;
  /** Feed items only. */
  impression?: string;
  why?: Why;
  /** Videos asked for by name only. */
  status?: VideoState;
  reason?: string | null;
};

export type FeedPage = { videos: FeedItem[]; nextCursor: string; isFallback: boolean };

export type Comment = {
  id: string;
  user: Creator;
  text: string;
  parentId: string | null;
  likeCount: number;
  replyCount: number;
  liked?: boolean;
  pinned?: boolean;
  createdAtMs: number;
};
export type CommentPage = { comments: Comment[]; nextCursor: string | null };

export type UploadTicket = { videoId: string; uploadUrl: string; chunkSize: number };
export type UploadParts = { parts: { part: number; size: number }[] };
export type VideoState = "created" | "uploaded" | "processing" | "ready" | "review" | "blocked" | "failed" | "deleted";
export type VideoStatus = {
  videoId: string;
  status: VideoState;
  stage: string;
  progress: number;
  reason: string | null;
  urls: Record<string, string>;
};

export type Notice = { id: string; kind: string; text: string; actor: Creator | null; videoId: string | null; createdAtMs: number; read: boolean };
