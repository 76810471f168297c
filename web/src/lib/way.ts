// The way of an order, request → order → event → record → groups: what the server knows, completed by what was asked of Kafka.
import type { Answer, Schemas, Station } from "../api/types";

type RecordOfEvent = Schemas["RecordOfEvent"];
type TopicGroups = Answer<"/topics/{topic}/groups">;

export interface GroupAtRecord {
  group: string;
  /** null: it has not committed an offset for the partition. */
  committed: string | null;
  hasRead: boolean;
  /** Records from its offset to this one, this one included; null if unknown. */
  behind: bigint | null;
  state: string;
}

/** A group has read a record when it has committed an offset behind it. */
export function groupsAt(groups: TopicGroups, partition: number, offset: string): GroupAtRecord[] {
  const wanted = BigInt(offset);
  return groups.items
    .map(({ group, state, offsets }) => {
      const committed = offsets.find((each) => each.partition === partition)?.committed ?? null;
      const position = committed === null ? null : BigInt(committed);
      return {
        group,
        state,
        committed,
        hasRead: position !== null && position > wanted,
        behind: position === null ? null : position > wanted ? 0n : wanted - position + 1n,
      };
    })
    .sort((left, right) => Number(left.hasRead) - Number(right.hasRead) || left.group.localeCompare(right.group));
}

/** The station of the record, once it was looked for. */
export function recordState(station: Station, record: RecordOfEvent | undefined): Station["state"] {
  if (!record) return station.state;
  return record.offset !== null ? "done" : "unknown";
}

export function groupsState(readers: GroupAtRecord[] | undefined): Station["state"] {
  if (!readers || readers.length === 0) return "unknown";
  return readers.every((reader) => reader.hasRead) ? "done" : "waiting";
}
