<?php

declare(strict_types=1);

namespace Shop;

/** Where broker and database are. Read from the environment, with defaults for a local try-out. */
final class Settings
{
    public readonly string $brokerUrl;
    public readonly string $databaseDsn;
    public readonly string $databaseUser;
    public readonly string $databasePassword;

    /** Prefix of the shop's exchange and queues, so that several shops can share a broker. */
    public readonly string $name;

    public function __construct()
    {
        $this->brokerUrl = getenv('BROKER_URL') ?: 'amqp://guest:guest@127.0.0.1:5672/%2f';
        $this->databaseDsn = getenv('DATABASE_DSN') ?: 'mysql:host=127.0.0.1;dbname=shop';
        $this->databaseUser = getenv('DATABASE_USER') ?: 'shop';
        $this->databasePassword = getenv('DATABASE_PASSWORD') ?: 'shop';
        $this->name = getenv('SHOP_NAME') ?: 'shop';
    }
}
