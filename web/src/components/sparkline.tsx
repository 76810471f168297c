/** A line of the last values; a hole where nothing was measured. Decoration beside the number it belongs to. */
export function Sparkline({ values, tone = "" }: { values: (number | null)[] | undefined; tone?: string }) {
  const width = 120;
  const height = 24;
  const measured = (values ?? []).filter((value): value is number => value !== null);
  const max = Math.max(...measured, 0);
  let path = "";
  let isDrawing = false;
  (values ?? []).forEach((value, index, all) => {
    if (value === null) {
      isDrawing = false;
      return;
    }
    const x = all.length < 2 ? width : (index / (all.length - 1)) * width;
    const y = height - 1.5 - (max === 0 ? 0 : (value / max) * (height - 3));
    path += `${isDrawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    isDrawing = true;
  });
  return (
    <svg class={`sparkline ${tone}`} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
      {path !== "" && <path d={path} />}
    </svg>
  );
}
