import type { Bytes } from "../api/types";

export function Payload({ bytes }: { bytes: Bytes | null; label: string; onDownload?: () => void }) {
  return bytes ? <pre class="panel-body">{bytes.data}</pre> : <p class="panel-body quiet">null</p>;
}
