#include "http/tls.hpp"

#include <boost/asio/ssl/context.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace txstream::http {
namespace {

namespace ssl = boost::asio::ssl;

// A passphrase would be asked for on the terminal.
int no_passphrase(char*, int, int, void* was_asked) {
    *static_cast<bool*>(was_asked) = true;
    return -1;
}

tl::unexpected<Error> wrong(std::string what) {
    return fail(Code::invalid_input, std::move(what));
}

std::string last_openssl_error() {
    const auto code = ERR_peek_last_error();
    const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? "unknown error" : reason;
}

Result<> check_readable(const std::string& path, bool is_key) {
    struct ::stat about{};
    if (::stat(path.c_str(), &about) != 0 || ::access(path.c_str(), R_OK) != 0)
        return wrong(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
    if (is_key && (about.st_mode & S_IROTH) != 0)
        return wrong(fmt::format(
            "every user may read the key {}; run: chmod o-r {} (Kubernetes: defaultMode: 0440)",
            path,
            path
        ));
    return {};
}

Result<> load(::SSL_CTX* context, const Tls::Files& files) {
    TXS_CHECK(check_readable(files.certificate, false));
    TXS_CHECK(check_readable(files.key, true));
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1)
        return wrong(fmt::format(
            "{} is no certificate in PEM form ({}); it begins with -----BEGIN CERTIFICATE-----",
            files.certificate,
            last_openssl_error()
        ));
    bool asks_passphrase = false;
    SSL_CTX_set_default_passwd_cb(context, &no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, &asks_passphrase);
    const int has_key = SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM);
    const auto error = last_openssl_error();
    const bool mismatches = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
    SSL_CTX_set_default_passwd_cb(context, nullptr);
    SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
    ERR_clear_error();
    if (has_key == 1) return {};
    if (asks_passphrase)
        return wrong(fmt::format(
            "the key {} has a passphrase, and a service has no one to ask; remove it: openssl pkey "
            "-in {} -out KEY",
            files.key,
            files.key
        ));
    if (mismatches)
        return wrong(fmt::format(
            "the key {} does not belong to the certificate {}", files.key, files.certificate
        ));
    return wrong(fmt::format(
        "{} is no private key in PEM form ({}); it begins with -----BEGIN PRIVATE KEY-----",
        files.key,
        error
    ));
}

Result<std::unique_ptr<ssl::context>> make_context(const Tls::Files& files) {
    auto context = std::make_unique<ssl::context>(ssl::context::tls_server);
    auto* const native = context->native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    SSL_CTX_set_options(
        native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE
    );
    // Of TLS 1.2; all of 1.3 are fine.
    SSL_CTX_set_cipher_list(native, "ECDHE+AESGCM:ECDHE+CHACHA20");
    // An idle connection keeps no buffers.
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
    TXS_CHECK(load(native, files));
    return context;
}

const ::ASN1_TIME* end_of(const ssl::context& context) {
    auto* const native = const_cast<ssl::context&>(context).native_handle();
    return X509_get0_notAfter(SSL_CTX_get0_certificate(native));
}

}  // namespace

Tls::Tls(Files files, Trouble trouble) : files_(std::move(files)), trouble_(std::move(trouble)) {
}

Tls::~Tls() = default;

Result<std::unique_ptr<Tls>> Tls::open(Files files, Trouble trouble) {
    std::unique_ptr<Tls> tls(new Tls(std::move(files), std::move(trouble)));
    TXS_CHECK(tls->reload());
    return tls;
}

Result<> Tls::reload() {
    // Before they are read: what is written meanwhile makes another version.
    const auto current = version();
    TXS_TRY(context_, make_context(files_));
    version_ = current;
    wrong_.reset();
    return {};
}

ssl::context& Tls::context(Clock::time_point now) {
    if (looked_at_ != Clock::time_point::min() && now < looked_at_ + kRecheck) return *context_;
    looked_at_ = now;
    const auto current = version();
    if (current == version_) return *context_;
    const bool is_second_look = wrong_ == current;
    if (is_second_look && is_reported_) return *context_;
    const auto renewed = reload();
    if (!renewed) {
        wrong_ = current;
        is_reported_ = is_second_look;
        if (is_second_look && trouble_)
            trouble_("the certificate stays as it was: " + renewed.error().what());
    }
    return *context_;
}

std::string Tls::expires_at() const {
    std::tm parts{};
    ASN1_TIME_to_tm(end_of(*context_), &parts);
    std::array<char, 24> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

bool Tls::is_expired() const {
    return X509_cmp_current_time(end_of(*context_)) < 0;
}

std::optional<Tls::Version> Tls::version() const {
    Version version{};
    auto at = version.begin();
    for (const auto& path : {files_.certificate, files_.key}) {
        struct ::stat about{};
        if (::stat(path.c_str(), &about) != 0) return std::nullopt;
        for (const auto value :
             {static_cast<std::int64_t>(about.st_dev),
              static_cast<std::int64_t>(about.st_ino),
              static_cast<std::int64_t>(about.st_size),
              static_cast<std::int64_t>(about.st_mtim.tv_sec),
              static_cast<std::int64_t>(about.st_mtim.tv_nsec)})
            *at++ = value;
    }
    return version;
}

}  // namespace txstream::http
