// A search by qualifiers: completed while it is typed, sent with Enter, with a caret under what the server does not understand.
import { useEffect, useId, useRef, useState } from "preact/hooks";

import type { ApiError } from "../api/client";
import { t } from "../lib/i18n";
import { complete, type Completion, type Qualifier } from "../lib/qualifiers";
import { Icon } from "./icons";
import { errorText } from "./panel";
import { RemedyView } from "./remedy";

interface SearchProps {
  label: string;
  value: string;
  placeholder: string;
  qualifiers: readonly Qualifier[];
  onSearch: (text: string) => void;
  /** Of the last search; its column is shown when the text is still the one that was searched for. */
  error?: ApiError | undefined;
}

/** The text was not understood: shown with the field, while the results before stay. */
export function isSearchError(error: ApiError | undefined): error is ApiError {
  return error !== undefined && error.status === 400 && (error.problem.field === "q" || error.problem.column !== undefined);
}

export function Search({ label, value, placeholder, qualifiers, onSearch, error }: SearchProps) {
  const [text, setText] = useState(value);
  const [offers, setOffers] = useState<Completion[]>([]);
  const [chosen, setChosen] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  useEffect(() => setText(value), [value]);
  const suggest = () => {
    const field = input.current;
    if (!field) return;
    setOffers(complete(field.value, field.selectionStart ?? field.value.length, qualifiers));
    setChosen(-1);
  };
  const close = () => setOffers([]);
  const accept = (offer: Completion) => {
    const field = input.current;
    if (!field) return;
    const caret = field.selectionStart ?? field.value.length;
    const next = field.value.slice(0, offer.from) + offer.text + field.value.slice(caret);
    setText(next);
    field.value = next;
    const end = offer.from + offer.text.length;
    field.setSelectionRange(end, end);
    field.focus();
    suggest();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape" && offers.length > 0) {
      event.preventDefault();
      close();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && offers.length > 0) {
      event.preventDefault();
      setChosen((chosen + (event.key === "ArrowDown" ? 1 : offers.length + (chosen < 0 ? 1 : 0) - 1)) % offers.length);
    } else if ((event.key === "Tab" || event.key === "Enter") && offers[chosen]) {
      event.preventDefault();
      accept(offers[chosen]);
    }
  };
  const wrong = isSearchError(error) && text === value ? error : undefined;
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        close();
        onSearch(text.trim());
      }}
    >
      <div class="search-field">
        <Icon name="search" />
        <input
          ref={input}
          type="text"
          data-search
          class="mono"
          role="combobox"
          aria-label={label}
          aria-expanded={offers.length > 0}
          aria-controls={`${id}-list`}
          aria-activedescendant={chosen >= 0 ? `${id}-${chosen}` : undefined}
          aria-invalid={wrong !== undefined}
          aria-describedby={wrong ? `${id}-error` : undefined}
          autocomplete="off"
          spellcheck={false}
          maxLength={4352}
          placeholder={placeholder}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            suggest();
          }}
          onFocus={suggest}
          onClick={suggest}
          onBlur={close}
          onKeyDown={onKeyDown}
        />
        {value !== "" && (
          <button type="button" class="button bare" aria-label={t("action.clear_filters")} title={t("action.clear_filters")} onClick={() => onSearch("")}>
            <Icon name="close" />
          </button>
        )}
        {/* Always there, since aria-controls names it; the pointer must not take the focus from the field. */}
        <div id={`${id}-list`} role="listbox" aria-label={t("search.offers")} class={offers.length > 0 ? "offers" : "off-screen"}>
          {offers.map((offer, index) => (
            // eslint-disable-next-line jsx-a11y/click-events-have-key-events -- the keys are the field's
            <div
              key={offer.text}
              id={`${id}-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === chosen}
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => accept(offer)}
            >
              <code>{offer.text}</code> <span class="quiet">{offer.hint}</span>
            </div>
          ))}
        </div>
      </div>
      {wrong && (
        <div class="search-error" id={`${id}-error`} role="alert">
          {wrong.problem.column !== undefined && (
            <pre aria-hidden="true">
              {value}
              {"\n"}
              {" ".repeat(wrong.problem.column)}^
            </pre>
          )}
          <p>{wrong.problem.detail || errorText(wrong)}</p>
          <RemedyView remedy={wrong.problem.remedy} />
        </div>
      )}
    </form>
  );
}
