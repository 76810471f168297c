#include "domain/order_json.hpp"

#include "domain/json_writer.hpp"

namespace txstream::domain {
namespace {

enum class ItemIds : bool { without, with };

void write_items(JsonWriter& out, const Order& order, ItemIds ids) {
    out.begin_array();
    for (const auto& item : order.items) {
        out.begin_object();
        if (ids == ItemIds::with) out.key("id").integer(item.id);
        out.key("product_id").string(item.product_id);
        out.key("product_name").string(item.product_name);
        out.key("quantity").integer(item.quantity);
        out.key("unit_price").money(item.unit_price);
        out.key("total_price").money(item.total_price);
        out.end_object();
    }
    out.end_array();
}

void write_address(JsonWriter& out, const Address& address) {
    out.begin_object();
    out.key("street").string(address.street);
    out.key("number").string(address.number);
    if (!address.complement.empty()) out.key("complement").string(address.complement);
    out.key("city").string(address.city);
    out.key("state").string(address.state);
    out.key("zip_code").string(address.zip_code);
    out.key("country").string(address.country);
    out.end_object();
}

void write_order(JsonWriter& out, const Order& order) {
    out.begin_object();
    out.key("id").string(order.id);
    out.key("customer_id").string(order.customer_id);
    out.key("order_number").string(order.order_number);
    out.key("status").string(to_string(order.status));
    out.key("total_amount").money(order.total_amount);
    out.key("currency").string(order.currency);
    write_items(out.key("items"), order, ItemIds::with);
    write_address(out.key("shipping_address"), order.shipping_address);
    write_address(out.key("billing_address"), order.billing_address);
    out.key("created_at").timestamp(order.created_at);
    out.key("updated_at").timestamp(order.updated_at);
    out.end_object();
}

}  // namespace

std::string order_to_json(const Order& order) {
    std::string json;
    JsonWriter out(json);
    write_order(out, order);
    return json;
}

std::string order_created_event_data(const Order& order) {
    std::string json;
    JsonWriter out(json);
    out.begin_object();
    out.key("order_id").string(order.id);
    out.key("customer_id").string(order.customer_id);
    out.key("order_number").string(order.order_number);
    out.key("status").string(to_string(order.status));
    out.key("total_amount").money(order.total_amount);
    out.key("currency").string(order.currency);
    out.key("items_count").integer(static_cast<std::int64_t>(order.items.size()));
    out.key("created_at").timestamp(order.created_at);
    write_items(out.key("items"), order, ItemIds::without);
    write_address(out.key("shipping_address"), order.shipping_address);
    write_address(out.key("billing_address"), order.billing_address);
    out.end_object();
    return json;
}

std::string order_created_metadata(std::string_view order_id) {
    std::string json;
    JsonWriter(json)
        .begin_object()
        .key("source")
        .string("txstream-api")
        .key("version")
        .string("1.0")
        .key("correlation_id")
        .string(order_id)
        .end_object();
    return json;
}

}  // namespace txstream::domain
