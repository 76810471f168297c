#include "http/detail/token_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace txstream::http::detail {
namespace {

constexpr std::size_t kNameBytesMax = 64;

bool is_alphanumeric(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool has_only(std::string_view text, std::string_view marks) noexcept {
    return std::all_of(text.begin(), text.end(), [marks](char c) {
        return is_alphanumeric(c) || marks.find(c) != std::string_view::npos;
    });
}

std::optional<Role> parse_role(std::string_view text) noexcept {
    for (const auto role : {Role::viewer, Role::operator_}) {
        if (text == to_string(role)) return role;
    }
    return std::nullopt;
}

// The fields of a line, which spaces and tabs separate.
std::vector<std::string_view> fields_of(std::string_view line) {
    constexpr std::string_view kBlanks = " \t\r";
    std::vector<std::string_view> fields;
    for (;;) {
        const auto begin = line.find_first_not_of(kBlanks);
        if (begin == std::string_view::npos) return fields;
        line.remove_prefix(begin);
        const auto size = std::min(line.find_first_of(kBlanks), line.size());
        fields.push_back(line.substr(0, size));
        line.remove_prefix(size);
    }
}

Result<TokenLine> parse_line(const std::vector<std::string_view>& fields, bool& is_plain) {
    constexpr std::string_view kHashed = "sha256:";
    const auto wrong = [](std::string what) { return fail(Code::invalid_input, std::move(what)); };
    if (fields.size() != 3)
        return wrong("needs three fields: NAME ROLE TOKEN, or NAME ROLE sha256:HEX");
    if (fields[0].size() > kNameBytesMax || !has_only(fields[0], "._@-"))
        return wrong("the name must be up to 64 letters, digits and ._@-");
    const auto role = parse_role(fields[1]);
    if (!role) return wrong("the role must be viewer or operator");
    TokenLine line{std::string(fields[0]), *role, {}};
    is_plain = !fields[2].starts_with(kHashed);
    if (!is_plain) {
        const auto digest = parse_digest(fields[2].substr(kHashed.size()));
        if (!digest) return wrong("sha256: needs 64 hexadecimal digits, as sha256sum writes them");
        line.digest = *digest;
        return line;
    }
    if (fields[2].size() < kTokenBytesMin)
        return wrong(fmt::format(
            "the token must have at least {} characters; make one: openssl rand -base64 24",
            kTokenBytesMin
        ));
    // What RFC 6750 lets a client send.
    if (!has_only(fields[2], "-._~+/="))
        return wrong("the token must have letters, digits and -._~+/= only");
    line.digest = digest_of(fields[2]);
    return line;
}

class Descriptor {
public:
    explicit Descriptor(const std::string& path)
        : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
    ~Descriptor() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const noexcept { return descriptor_; }

private:
    int descriptor_;
};

tl::unexpected<Error> unreadable(const std::string& path, int error) {
    return fail(
        error == ENOENT ? Code::not_found : Code::invalid_input,
        "cannot read the file of tokens " + path + ": " + std::strerror(error)
    );
}

}  // namespace

Result<TokenFile> parse_token_file(std::string_view text, std::string_view source) {
    TokenFile file;
    std::vector<std::size_t> numbers;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto end = std::min(text.find('\n'), text.size());
        const auto fields = fields_of(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (fields.empty() || fields[0].starts_with('#')) continue;
        const auto wrong = [&](std::string_view what) {
            return fail(Code::invalid_input, fmt::format("{}, line {}: {}", source, number, what));
        };
        if (file.lines.size() == kTokenLinesMax)
            return wrong(fmt::format("more than {} tokens", kTokenLinesMax));
        bool is_plain = false;
        auto line = parse_line(fields, is_plain);
        if (!line) return wrong(line.error().what());
        file.has_plain_tokens = file.has_plain_tokens || is_plain;
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            if (file.lines[i].digest == line->digest)
                return wrong(fmt::format(
                    "has the same token as line {}; each line needs its own", numbers[i]
                ));
        }
        file.lines.push_back(std::move(*line));
        numbers.push_back(number);
    }
    if (file.lines.empty())
        return fail(
            Code::invalid_input, fmt::format("{} holds no token; a line is NAME ROLE TOKEN", source)
        );
    return file;
}

Result<TokenFile> read_token_file(const std::string& path) {
    const Descriptor file(path);
    struct ::stat about{};
    if (file.get() < 0 || ::fstat(file.get(), &about) != 0) return unreadable(path, errno);
    if (!S_ISREG(about.st_mode))
        return fail(Code::invalid_input, "the file of tokens " + path + " is no regular file");
    if ((about.st_mode & S_IWOTH) != 0)
        return fail(
            Code::invalid_input,
            "every user may change the file of tokens " + path + "; run: chmod o-w " + path
        );
    std::string text(kTokenFileBytesMax + 1, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const auto read = ::read(file.get(), text.data() + size, text.size() - size);
        if (read < 0 && errno == EINTR) continue;
        if (read < 0) return unreadable(path, errno);
        if (read == 0) break;
        size += static_cast<std::size_t>(read);
    }
    if (size > kTokenFileBytesMax)
        return fail(
            Code::invalid_input,
            fmt::format("the file of tokens {} is larger than {} bytes", path, kTokenFileBytesMax)
        );
    text.resize(size);
    TXS_TRY(auto parsed, parse_token_file(text, path));
    if (parsed.has_plain_tokens && (about.st_mode & S_IROTH) != 0)
        return fail(
            Code::invalid_input,
            "every user may read the tokens in " + path + "; run: chmod o-r " + path +
                " (Kubernetes: defaultMode: 0440), or write sha256:HEX instead of tokens"
        );
    return parsed;
}

}  // namespace txstream::http::detail
