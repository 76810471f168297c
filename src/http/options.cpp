#include "http/options.hpp"

namespace txstream::http {

ExtraHeaders page_headers() {
    return {
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
         "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
         "frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        // What a page gets without asking. Writing to the clipboard is not listed: it has copy
        // buttons.
        {"Permissions-Policy",
         "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), "
         "fullscreen=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), "
         "payment=(), publickey-credentials-get=(), screen-wake-lock=(), usb=(), "
         "xr-spatial-tracking=()"},
        {"Vary", "Sec-Fetch-Site, Origin"},
        {"Cache-Control", "no-store"},
    };
}

}  // namespace txstream::http
