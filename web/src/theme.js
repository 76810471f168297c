// A classic script, because it has to run before the first paint: it says which of the two sets of colours holds.
(function () {
  var root = document.documentElement;
  var dark = matchMedia("(prefers-color-scheme: dark)");
  function stored(name) {
    try {
      return localStorage.getItem("txs." + name);
    } catch (_) {
      return null;
    }
  }
  function apply() {
    var theme = stored("theme");
    root.dataset.theme = theme === "light" || theme === "dark" ? theme : dark.matches ? "dark" : "light";
  }
  var language = stored("language") || (/^pt\b/i.test(navigator.language) ? "pt-BR" : "en");
  root.lang = language;
  apply();
  dark.addEventListener("change", apply);
  addEventListener("txs-theme", apply);
})();
