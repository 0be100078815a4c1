import type { Client, ClientOptions } from "openapi-fetch";
import type { paths } from "./schema.js";

export type * from "./schema.js";

/** An answer of the API that is no success. */
export class RecommenderError extends Error {
  /** HTTP status. */
  readonly status: number;
  /** Code of the error, as `docs/reference/limits-and-errors.md` lists them. */
  readonly code: string;
  /** The field that is wrong, if it is one. */
  readonly field: string | null;
  /** Seconds after which to try again, with 429 and 503. */
  readonly retryAfterSeconds: number | null;
}

export interface RecommenderOptions extends Omit<ClientOptions, "baseUrl"> {
  /** Address of `recommender web`, such as `http://localhost:8080`. */
  url: string;
  /** Key of `recommender web user add NAME --key`; none on loopback without users. */
  key?: string;
  /** Time for a request, in milliseconds; 35,000, a little more than the longest `wait`. */
  timeoutMs?: number;
}

/** A client with the paths of the OpenAPI document. Its calls reject with `RecommenderError`. */
export function createRecommender(options: RecommenderOptions): Client<paths>;
