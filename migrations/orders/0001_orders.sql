-- The sample domain: orders with their items and two addresses. Always in the schema public: a session of the product
-- resolves no name by the search path of a role or a database.
CREATE TABLE public.orders (
    id                  uuid          PRIMARY KEY DEFAULT gen_random_uuid(),
    customer_id         varchar(255)  NOT NULL,
    -- "C": its index finds what begins with a text, in a database of any locale.
    order_number        varchar(50)   COLLATE "C" NOT NULL CONSTRAINT orders_order_number_key UNIQUE,
    status              varchar(50)   NOT NULL DEFAULT 'pending'
                        CHECK (status IN ('pending', 'confirmed', 'shipped', 'delivered', 'cancelled')),
    total_amount        numeric(12,2) NOT NULL CHECK (total_amount >= 0),
    currency            varchar(3)    NOT NULL DEFAULT 'BRL' CHECK (currency ~ '^[A-Z]{3}$'),
    shipping_street     varchar(255)  NOT NULL,
    shipping_number     varchar(20)   NOT NULL,
    shipping_complement varchar(100),
    shipping_city       varchar(100)  NOT NULL,
    shipping_state      varchar(50)   NOT NULL,
    shipping_zip_code   varchar(20)   NOT NULL,
    shipping_country    varchar(50)   NOT NULL,
    billing_street      varchar(255)  NOT NULL,
    billing_number      varchar(20)   NOT NULL,
    billing_complement  varchar(100),
    billing_city        varchar(100)  NOT NULL,
    billing_state       varchar(50)   NOT NULL,
    billing_zip_code    varchar(20)   NOT NULL,
    billing_country     varchar(50)   NOT NULL,
    created_at          timestamptz   NOT NULL DEFAULT now(),
    updated_at          timestamptz   NOT NULL DEFAULT now()
);
-- Newest first; the id makes the order total, so that pages neither repeat nor skip.
CREATE INDEX orders_newest ON public.orders (created_at DESC, id DESC);
CREATE INDEX orders_of_customer ON public.orders (customer_id, created_at DESC, id DESC);

CREATE TABLE public.order_items (
    id           bigint        PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    order_id     uuid          NOT NULL REFERENCES public.orders (id) ON DELETE CASCADE,
    product_id   varchar(255)  NOT NULL,
    product_name varchar(255)  NOT NULL,
    quantity     integer       NOT NULL CHECK (quantity > 0),
    unit_price   numeric(12,2) NOT NULL CHECK (unit_price >= 0),
    total_price  numeric(12,2) NOT NULL
);
CREATE INDEX order_items_order_id ON public.order_items (order_id);
