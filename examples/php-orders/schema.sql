-- The shop's database. The worker writes users and orders, the notifier writes notifications.

CREATE DATABASE IF NOT EXISTS shop CHARACTER SET utf8mb4;
USE shop;

CREATE TABLE IF NOT EXISTS users (
    id           INT UNSIGNED    NOT NULL AUTO_INCREMENT PRIMARY KEY,
    email        VARCHAR(190)    NOT NULL UNIQUE,
    name         VARCHAR(190)    NOT NULL,
    orders_count INT UNSIGNED    NOT NULL DEFAULT 0,
    spent_cents  BIGINT UNSIGNED NOT NULL DEFAULT 0
);

-- The id is made by the shop when an order is placed. As the primary key it is what makes the
-- worker idempotent: the second delivery of an order changes nothing.
CREATE TABLE IF NOT EXISTS orders (
    id          CHAR(32)        NOT NULL PRIMARY KEY,
    user_id     INT UNSIGNED    NOT NULL,
    country     CHAR(2)         NOT NULL,
    express     BOOLEAN         NOT NULL,
    product     VARCHAR(100)    NOT NULL,
    quantity    INT UNSIGNED    NOT NULL,
    total_cents BIGINT UNSIGNED NOT NULL,
    placed_at   DATETIME(3)     NOT NULL,
    FOREIGN KEY (user_id) REFERENCES users (id)
);

-- No foreign key: a notification may come before its order is stored.
CREATE TABLE IF NOT EXISTS notifications (
    order_id   CHAR(32)     NOT NULL PRIMARY KEY,
    message    VARCHAR(500) NOT NULL,
    deliveries INT UNSIGNED NOT NULL DEFAULT 1
);

CREATE USER IF NOT EXISTS 'shop'@'localhost' IDENTIFIED BY 'shop';
GRANT SELECT, INSERT, UPDATE ON shop.* TO 'shop'@'localhost';
