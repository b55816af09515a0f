<?php

declare(strict_types=1);

namespace Shop;

/** What somebody sent as an order is none. */
final class InvalidOrder extends \DomainException
{
}
