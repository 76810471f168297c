"""Colours, by the role they play. A picture has one theme; the page in HTML has both, and its drawings name the roles."""
import dataclasses

# role: (light, dark)
_ROLES = {
    "page": ("#f4f4f1", "#101113"),
    "card": ("#ffffff", "#1a1b1e"),
    "edge": ("#e3e3de", "#2b2c30"),
    "ink": ("#191918", "#f1f1ee"),
    "muted": ("#65655f", "#a3a39c"),
    "grid": ("#ebebe6", "#2a2b2f"),
    "on-color": ("#ffffff", "#ffffff"),
    "green": ("#178346", "#43bd77"),
    "yellow": ("#b97d00", "#e5b23a"),
    "orange": ("#cf5c06", "#f1904a"),
    "red": ("#c92a2a", "#f26a66"),
    "blue": ("#2465d3", "#629dff"),
    "purple": ("#7548c9", "#ab8ff7"),
    "gray": ("#83837c", "#8d8d86"),
    "teal": ("#0a8683", "#35c0bb"),
    "pink": ("#bb3580", "#ee7fb8"),
    "olive": ("#6f7c00", "#b4c23f"),
    "brown": ("#835431", "#c8966d"),
    # A tile's ground, under white text.
    "solid-green": ("#178346", "#1d8a4d"),
    "solid-yellow": ("#a56f00", "#a87a14"),
    "solid-orange": ("#cf5c06", "#c9610f"),
    "solid-red": ("#c92a2a", "#cc3a38"),
    "solid-blue": ("#2465d3", "#2f6fd6"),
    "solid-gray": ("#65655f", "#5c5c57"),
}
# Next to each other they can be told apart, also with weak colour vision: hue and lightness change together.
PALETTE = ["blue", "orange", "teal", "purple", "pink", "olive", "brown", "gray"]


@dataclasses.dataclass(frozen=True)
class Theme:
    name: str
    colors: dict

    def __getitem__(self, role):
        return self.colors[role]


LIGHT = Theme("light", {role: light for role, (light, _) in _ROLES.items()})
DARK = Theme("dark", {role: dark for role, (_, dark) in _ROLES.items()})
# matplotlib wants a colour; these stand for the roles until the drawing is text. None of them is a colour that is used.
_PLACEHOLDERS = {role: f"#0d0e{number:02x}" for number, role in enumerate(_ROLES)}
BOTH = Theme("both", _PLACEHOLDERS)


def with_roles(svg):
    for role, placeholder in _PLACEHOLDERS.items():
        svg = svg.replace(placeholder, f"var(--{role})")
    return svg


def stylesheet():
    def rules(theme):
        return "".join(f"--{role}:{theme[role]};" for role in _ROLES)

    return (f":root{{color-scheme:light;{rules(LIGHT)}}}\n"
            f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{rules(DARK)}}}}}\n"
            f":root[data-theme=dark]{{color-scheme:dark;{rules(DARK)}}}\n")
