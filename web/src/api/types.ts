/** The shapes the screens speak of, by the names they use for them. */
import type { components as Origin } from "./schema/origin";
import type { components as Pop } from "./schema/pop";

type OriginShape = Origin["schemas"];
type PopShape = Pop["schemas"];

export type User = OriginShape["UserView"];
export type AvatarView = OriginShape["AvatarView"];
export type TokenReply = OriginShape["TokenReply"];
export type Registration = Partial<OriginShape["Registration"]> & { username: string; password: string; birthdate: string };
export type Creator = OriginShape["Creator"];
export type FeedPage = PopShape["FeedPage"];

/** Members of a video asked for by name that an item of a feed does not carry. */
type ForOwners = "status" | "visibility" | "bookmarked" | "commentsOpen" | "publishedAtMs" | "remixesOpen" | "remixOf";

/** A clip as the player and the tiles take it: an item of a feed, or a video asked for by name. */
export type FeedItem = Omit<OriginShape["VideoView"], ForOwners> &
  Partial<OriginShape["VideoView"]> &
  Partial<Pick<PopShape["FeedItem"], "impression" | "why">>;
export type VideoPage = { videos: FeedItem[]; nextCursor?: string | null };

export type Comment = OriginShape["CommentView"];
export type CommentPage = OriginShape["CommentPage"];
export type Notice = OriginShape["NotificationView"];

/** A sound of the library. Only one whose `state` is "ready" can be heard and mixed. */
export type LibrarySound = OriginShape["SoundView"];
export type SoundPage = { sounds: LibrarySound[]; nextCursor?: string | null };
export type CaptionTrack = OriginShape["CaptionView"];

export type UploadParts = OriginShape["ReceivedParts"];
export type Edits = Partial<OriginShape["Edits"]>;
export type Completion = Omit<Partial<OriginShape["Completion"]>, "edits"> & { edits?: Edits | null };
export type UploadLimits = OriginShape["UploadLimits"];
export type VideoChange = OriginShape["VideoChange"];
export type Restriction = OriginShape["RestrictionView"];
export type VideoStatus = OriginShape["VideoStatus"];
