import type { PageProps } from "../routes";

export default function Page({ parts }: PageProps) {
  return <h1>{Object.values(parts).join(" ") || "topics"}</h1>;
}
