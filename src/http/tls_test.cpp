#include "http/tls.hpp"

#include "http/test_support.hpp"

#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string>
#include <sys/stat.h>

namespace txstream::http {
namespace {

using namespace test;
namespace ssl = asio::ssl;

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Key make_key() {
    return {EVP_EC_gen("P-256"), &EVP_PKEY_free};
}

// Writes a self-signed certificate for localhost. A passphrase encrypts the key.
void write_files(
    const Tls::Files& files,
    const Key& key,
    int serial,
    long days = 1,
    const char* passphrase = nullptr
) {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), &X509_free);
    auto* const cert = certificate.get();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), days > 0 ? 0 : 2 * days * 86400);
    X509_gmtime_adj(X509_getm_notAfter(cert), days * 86400);
    X509_set_pubkey(cert, key.get());
    auto* const name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0
    );
    X509_set_issuer_name(cert, name);
    auto* const names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(cert, key.get(), EVP_sha256());
    auto* const out = std::fopen(files.certificate.c_str(), "w");
    PEM_write_X509(out, cert);
    std::fclose(out);
    auto* const key_out = std::fopen(files.key.c_str(), "w");
    PEM_write_PrivateKey(
        key_out,
        key.get(),
        passphrase ? EVP_aes_128_cbc() : nullptr,
        reinterpret_cast<const unsigned char*>(passphrase),
        passphrase ? static_cast<int>(std::string_view(passphrase).size()) : 0,
        nullptr,
        nullptr
    );
    std::fclose(key_out);
    EXPECT_EQ(::chmod(files.key.c_str(), 0600), 0);
}

class Directory {
public:
    Directory() {
        std::string name = testing::TempDir() + "txs_tls_XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    ~Directory() { std::filesystem::remove_all(path_); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;

    Tls::Files files() const { return {path_ + "/cert.pem", path_ + "/key.pem"}; }

private:
    std::string path_;
};

/// A blocking client that trusts one certificate.
class TlsClient {
public:
    explicit TlsClient(std::uint16_t port, const std::string& trusted, int version_max = 0)
        : stream_(loop_, context_) {
        context_.load_verify_file(trusted);
        if (version_max != 0) {
            SSL_set_security_level(stream_.native_handle(), 0);
            SSL_set_max_proto_version(stream_.native_handle(), version_max);
        }
        stream_.set_verify_mode(ssl::verify_peer);
        stream_.set_verify_callback(ssl::host_name_verification("localhost"));
        stream_.next_layer().connect({asio::ip::address_v4::loopback(), port});
        SSL_set_tlsext_host_name(stream_.native_handle(), "localhost");
        stream_.handshake(ssl::stream_base::client, error_);
    }

    bool is_connected() const { return !error_; }
    void send(std::string_view bytes) { asio::write(stream_, asio::buffer(bytes), error_); }
    /// Until `size` bytes are there, or the server has closed.
    std::string read(std::size_t size) {
        std::string bytes(size, '\0');
        const auto read = asio::read(stream_, asio::buffer(bytes), error_);
        bytes.resize(read);
        return bytes;
    }
    std::string read_until(std::string_view what) {
        std::string bytes;
        while (!error_ && bytes.find(what) == std::string::npos) bytes += read(1);
        return bytes;
    }
    boost::system::error_code error() const { return error_; }
    long serial() {
        auto* const cert = SSL_get0_peer_certificate(stream_.native_handle());
        return ASN1_INTEGER_get(X509_get0_serialNumber(cert));
    }

private:
    asio::io_context loop_;
    ssl::context context_{ssl::context::tls_client};
    ssl::stream<tcp::socket> stream_;
    boost::system::error_code error_;
};

class TlsServerTest : public ServerTest {
protected:
    TlsServerTest() {
        write_files(directory_.files(), key_, 1);
        tls_ = Tls::open(directory_.files(), [this](std::string_view what) {
                   troubles_.emplace_back(what);
               }).value();
        options_.tls = tls_.get();
        router_.add(Method::get, "/tail", [this](Request) -> Task<Response> {
            Response response(200, "text/plain", {});
            response.stream = [this](BodyWriter& writer) { return tail(writer); };
            co_return response;
        });
    }
    ~TlsServerTest() override { shut_down(); }

    Task<> tail(BodyWriter& writer) {
        struct Ended {
            std::atomic<int>& count;
            ~Ended() { ++count; }
        } const ended{ended_};
        co_await writer.write(std::string(40000, 'x'));
        boost::system::error_code error;
        co_await gate_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
    TlsClient connect(int version_max = 0) {
        return TlsClient(port_, directory_.files().certificate, version_max);
    }

    Directory directory_;
    Key key_ = make_key();
    std::vector<std::string> troubles_;
    std::unique_ptr<Tls> tls_;
    std::atomic<int> ended_ = 0;
};

TEST_F(TlsServerTest, RequestsAreAnsweredOneAfterTheOther) {
    start();
    auto client = connect();
    ASSERT_TRUE(client.is_connected()) << client.error().message();
    for (int i = 0; i < 3; ++i) {
        client.send(kHello);
        EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
        EXPECT_EQ(client.read(14), "{\"hello\":true}");
    }
    client.send(post(std::string(1000, 'y')));
    client.read_until("\r\n\r\n");
    EXPECT_EQ(client.read(1000), std::string(1000, 'y'));
    client.send("GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client.read_until("\r\n\r\n");
    constexpr std::size_t kBig = 32 * 1024 * 1024;
    EXPECT_EQ(client.read(kBig + 1).size(), kBig);
    EXPECT_EQ(client.error(), asio::error::eof) << "the end is announced, not cut off";
}

TEST_F(TlsServerTest, TheAnswerToAMuchTooLargeBodyStillArrives) {
    start();
    auto client = connect();
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n");
    client.send(std::string(4000000, 'x'));
    EXPECT_TRUE(client.read_until("\r\n").starts_with("HTTP/1.1 413"));
}

TEST_F(TlsServerTest, AClientThatGoesAwayEndsAStream) {
    start();
    {
        auto client = connect();
        client.send("GET /tail HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_EQ(client.read(40000).size(), 40000U);
    }
    const auto until = Deadline::in(20s);
    while (ended_ == 0 && !until.passed()) std::this_thread::yield();
    EXPECT_EQ(ended_, 1);
    while (counts().connections > 0) std::this_thread::yield();
}

TEST_F(TlsServerTest, OldVersionsAreRefused) {
    start();
    EXPECT_TRUE(connect(TLS1_2_VERSION).is_connected());
    EXPECT_FALSE(connect(TLS1_1_VERSION).is_connected());
    const auto until = Deadline::in(20s);
    while (counts().handshakes_failed < 1 && !until.passed()) std::this_thread::yield();
    EXPECT_EQ(counts().handshakes_failed, 1);
}

TEST_F(TlsServerTest, PlainHttpIsToldWhatThePortSpeaks) {
    start();
    Client client(port_);
    const auto reply = client.ask(kHello);
    EXPECT_EQ(reply.status, 400);
    EXPECT_NE(reply.body.find("https://"), std::string::npos);
}

TEST_F(TlsServerTest, ASilentClientIsGivenUpAndTooManyAreClosed) {
    limits_.handshake_timeout = 200ms;
    limits_.handshakes_max = 2;
    start();
    Client first(port_);
    Client second(port_);
    while (counts().connections < 2) std::this_thread::yield();
    Client third(port_);
    EXPECT_TRUE(third.is_closed());
    EXPECT_EQ(counts().refused, 1);
    EXPECT_TRUE(first.is_closed());
    EXPECT_TRUE(second.is_closed());
    EXPECT_GE(counts().timed_out, 2);
    EXPECT_TRUE(connect().is_connected());
}

TEST_F(TlsServerTest, StopEndsIdleConnections) {
    start();
    auto client = connect();
    client.send(kHello);
    client.read_until("true}");
    stop(20s).get();
    EXPECT_EQ(client.read(1), "");
}

TEST(TlsTest, ChangedFilesAreReadAgainOnceTheyFit) {
    const Directory directory;
    const auto files = directory.files();
    const auto key = make_key();
    write_files(files, key, 1);
    std::vector<std::string> troubles;
    auto tls =
        Tls::open(files, [&](std::string_view what) { troubles.emplace_back(what); }).value();
    const auto serial = [&](Tls::Clock::time_point now) {
        auto* const context = tls->context(now).native_handle();
        return ASN1_INTEGER_get(X509_get0_serialNumber(SSL_CTX_get0_certificate(context)));
    };
    Tls::Clock::time_point now{1h};
    EXPECT_EQ(serial(now), 1);
    write_files(files, key, 2);
    EXPECT_EQ(serial(now + 500ms), 1);
    EXPECT_EQ(serial(now += 1s), 2);
    // As a tool renews them: first one file, then the other.
    const auto next_key = make_key();
    const Tls::Files next{files.certificate, files.key + ".next"};
    write_files(next, next_key, 3);
    EXPECT_EQ(serial(now += 1s), 2);
    EXPECT_TRUE(troubles.empty());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(serial(now += 1s), 2);
    ASSERT_EQ(troubles.size(), 1u);
    EXPECT_NE(troubles[0].find("does not belong to the certificate"), std::string::npos);
    std::filesystem::rename(next.key, files.key);
    EXPECT_EQ(serial(now += 1s), 3);
    EXPECT_EQ(troubles.size(), 1u);
}

TEST(TlsTest, ErrorsNameTheFileAndTheRemedy) {
    const Directory directory;
    const auto files = directory.files();
    const auto key = make_key();
    const auto error = [&] {
        const auto opened = Tls::open(files);
        return opened ? std::string() : opened.error().what();
    };
    const auto has = [&](std::string_view what, std::string_view file) {
        const auto text = error();
        EXPECT_NE(text.find(what), std::string::npos) << text;
        EXPECT_NE(text.find(file), std::string::npos) << text;
    };
    has("No such file", files.certificate);
    write_files(files, key, 1);
    EXPECT_EQ(error(), "");
    EXPECT_FALSE(Tls::open(files).value()->is_expired());
    EXPECT_EQ(Tls::open(files).value()->expires_at().size(), 20U);
    EXPECT_EQ(::chmod(files.key.c_str(), 0644), 0);
    has("chmod o-r", files.key);
    write_files(files, key, 1, 1, "passphrase");
    has("has a passphrase", files.key);
    std::ofstream(files.key) << "nonsense";
    has("no private key in PEM form", files.key);
    write_files({files.certificate + ".other", files.key}, make_key(), 1);
    has("does not belong", files.key);
    std::ofstream(files.certificate) << "nonsense";
    has("no certificate in PEM form", files.certificate);
    write_files(files, key, 1, -1);
    EXPECT_TRUE(Tls::open(files).value()->is_expired());
}

}  // namespace
}  // namespace txstream::http
