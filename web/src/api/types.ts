// Names for the shapes of the contract.
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];
export type Session = Schemas["Session"];
export type Role = Schemas["Role"];
export type Severity = Schemas["Severity"];
export type Cause = Schemas["Cause"];
export type Remedy = Schemas["Remedy"];
export type Overview = Schemas["Overview"];
export type History = Schemas["History"];
export type EventRow = Schemas["EventRow"];
export type EventDetail = Schemas["EventDetail"];
export type EventState = Schemas["EventState"];
export type Bytes = Schemas["Bytes"];
export type Header = Schemas["Header"];
export type DeadLetter = Schemas["DeadLetter"];
export type DeadLetterGroup = Schemas["DeadLetterGroup"];
export type OrderRow = Schemas["OrderRow"];
export type OrderDetail = Schemas["OrderDetail"];
export type Station = Schemas["Station"];
export type Selection = Schemas["Selection"];
export type DecisionAction = Schemas["DecisionAction"];
export type DecisionPlan = Schemas["DecisionPlan"];
export type Job = Schemas["Job"];
export type AuditEntry = Schemas["AuditEntry"];
export type Pause = Schemas["Pause"];
export type PauseScope = Pause["what"];
export type Pauses = Answer<"/pauses">;
export type DrainPlan = Schemas["Drain"];
export type Record_ = Schemas["Record"];

/** Paths that answer GET with JSON. */
export type GetPath = {
  [P in keyof paths]: paths[P] extends { get: { responses: { 200: { content: { "application/json": unknown } } } } } ? P : never;
}[keyof paths];

export type Answer<P extends GetPath> = paths[P] extends { get: { responses: { 200: { content: { "application/json": infer R } } } } } ? R : never;

interface Done<R> {
  responses: { 200: { content: { "application/json": R } } };
}
/** It is written down, and carried out later. */
interface Accepted<R> {
  responses: { 202: { content: { "application/json": R } } };
}

/** Paths that take POST with JSON. */
export type PostPath = {
  [P in keyof paths]: paths[P] extends { post: Done<unknown> | Accepted<unknown> } ? P : never;
}[keyof paths];

export type PostAnswer<P extends PostPath> = paths[P] extends { post: Done<infer R> } ? R : paths[P] extends { post: Accepted<infer R> } ? R : never;
export type PostBody<P extends PostPath> = paths[P] extends { post: { requestBody?: infer R } } ? (NonNullable<R> extends { content: { "application/json": infer B } } ? B : never) : never;

/** Paths that take DELETE with JSON. */
export type DeletePath = {
  [P in keyof paths]: paths[P] extends { delete: { responses: { 200: { content: { "application/json": unknown } } } } } ? P : never;
}[keyof paths];

export type DeleteAnswer<P extends DeletePath> = paths[P] extends { delete: { responses: { 200: { content: { "application/json": infer R } } } } } ? R : never;
export type DeleteBody<P extends DeletePath> = paths[P] extends { delete: { requestBody?: infer R } } ? (NonNullable<R> extends { content: { "application/json": infer B } } ? B : never) : never;
