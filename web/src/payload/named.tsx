import { findAll, pieces } from "./text";

/** Text in which characters that cannot be seen have their names, and what is searched for is marked. */
export function Named({ text, wanted = "" }: { text: string; wanted?: string }) {
  return (
    <>
      {pieces(text).map((piece, index) =>
        piece.isName ? (
          <span key={index} class="unseen">
            {piece.text}
          </span>
        ) : (
          <Marked key={index} text={piece.text} wanted={wanted} />
        ),
      )}
    </>
  );
}

export function Marked({ text, wanted }: { text: string; wanted: string }) {
  const found = findAll(text, wanted, 100);
  if (found.length === 0) return <>{text}</>;
  const end = found.map((at) => at + wanted.length);
  return (
    <>
      {text.slice(0, found[0])}
      {found.map((at, index) => (
        <>
          <mark key={at}>{text.slice(at, end[index])}</mark>
          {text.slice(end[index], found[index + 1])}
        </>
      ))}
    </>
  );
}
