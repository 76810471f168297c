#pragma once

#include <string_view>

/// Names that OpenTelemetry prescribes for spans, all in one place: of messaging, most are still in
/// development and change with the version that is pinned here (later ones say `kafka.offset`).
namespace txstream::telemetry::semconv {

inline constexpr std::string_view kVersion = "1.37.0";
inline constexpr std::string_view kSchemaUrl = "https://opentelemetry.io/schemas/1.37.0";

inline constexpr std::string_view kServiceName = "service.name";
inline constexpr std::string_view kServiceVersion = "service.version";
inline constexpr std::string_view kServiceInstanceId = "service.instance.id";
inline constexpr std::string_view kSdkName = "telemetry.sdk.name";
inline constexpr std::string_view kSdkLanguage = "telemetry.sdk.language";
inline constexpr std::string_view kSdkVersion = "telemetry.sdk.version";

inline constexpr std::string_view kErrorType = "error.type";
inline constexpr std::string_view kErrorTypeOther = "_OTHER";
inline constexpr std::string_view kServerAddress = "server.address";
inline constexpr std::string_view kServerPort = "server.port";

inline constexpr std::string_view kHttpRequestMethod = "http.request.method";
inline constexpr std::string_view kHttpMethodOther = "_OTHER";
inline constexpr std::string_view kHttpRoute = "http.route";
inline constexpr std::string_view kHttpStatusCode = "http.response.status_code";
inline constexpr std::string_view kUrlPath = "url.path";
inline constexpr std::string_view kUrlScheme = "url.scheme";

inline constexpr std::string_view kDbSystemName = "db.system.name";
inline constexpr std::string_view kDbNamespace = "db.namespace";
inline constexpr std::string_view kDbCollectionName = "db.collection.name";
inline constexpr std::string_view kDbOperationName = "db.operation.name";
inline constexpr std::string_view kDbStatusCode = "db.response.status_code";

inline constexpr std::string_view kMessagingSystem = "messaging.system";
inline constexpr std::string_view kMessagingOperationName = "messaging.operation.name";
inline constexpr std::string_view kMessagingOperationType = "messaging.operation.type";
inline constexpr std::string_view kMessagingDestination = "messaging.destination.name";
inline constexpr std::string_view kMessagingPartition = "messaging.destination.partition.id";
inline constexpr std::string_view kMessagingMessageCount = "messaging.batch.message_count";
inline constexpr std::string_view kMessagingMessageId = "messaging.message.id";
inline constexpr std::string_view kMessagingClientId = "messaging.client.id";
inline constexpr std::string_view kMessagingKafkaKey = "messaging.kafka.message.key";
inline constexpr std::string_view kMessagingKafkaOffset = "messaging.kafka.offset";

// Ours.
inline constexpr std::string_view kRequestId = "txstream.request_id";
inline constexpr std::string_view kBatchOrders = "txstream.batch.orders";
inline constexpr std::string_view kLane = "txstream.lane";

}  // namespace txstream::telemetry::semconv
