"""An order, and how it travels in a message."""

import dataclasses
import json
import uuid

USER_ID_MAX = 2**63 - 1
QUANTITY_MAX = 1000
PRICE_CENTS_MAX = 100_000_000
TEXT_MAX = 200


class MalformedOrder(ValueError):
    """A message or a form that is no order. Trying again will not help."""


@dataclasses.dataclass(frozen=True)
class Order:
    """`id` is chosen by the customer's side, so that the same order sent twice is still one."""

    id: str
    user_id: int
    user_name: str
    country: str
    item: str
    quantity: int
    price_cents: int

    @property
    def total_cents(self):
        return self.quantity * self.price_cents

    @property
    def routing_key(self):
        return f"order.placed.{self.country}"

    def to_json(self):
        return json.dumps(dataclasses.asdict(self)).encode()

    @classmethod
    def from_json(cls, body):
        try:
            return cls.from_fields(json.loads(body))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise MalformedOrder(str(error)) from error

    @classmethod
    def from_fields(cls, fields):
        """From text or JSON values; refuses what is missing, unknown or of no sense."""
        try:
            values = {field.name: field.type(fields[field.name]) for field in _FIELDS}
            uuid.UUID(values["id"])
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedOrder(repr(error)) from error
        order = cls(**values)
        if not order.makes_sense():
            raise MalformedOrder(f"order {order.id} makes no sense")
        return order

    def makes_sense(self):
        """What is said yes to must also fit the database, later and elsewhere."""
        return (
            0 <= self.user_id <= USER_ID_MAX
            and 1 <= self.quantity <= QUANTITY_MAX
            and 0 <= self.price_cents <= PRICE_CENTS_MAX
            and self.country.isalpha()  # a word of the routing key
            and len(self.country) <= TEXT_MAX
            and all(0 < len(t) <= TEXT_MAX and t.isprintable() for t in (self.user_name, self.item))
        )


_FIELDS = dataclasses.fields(Order)
