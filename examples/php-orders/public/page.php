<?php
/** The page itself. Needs $notice, $orderId and $latest. */

declare(strict_types=1);

namespace Shop;

$html = fn (string|int $text): string => htmlspecialchars((string) $text);
$euros = fn (int $cents): string => number_format($cents / 100, 2) . ' €';
?>
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>The tea shop</title></head>
<body>
<h1>The tea shop</h1>
<?php if ($notice !== '') : ?>
<p><strong><?= $html($notice) ?></strong></p>
<?php endif ?>
<form method="post">
    <input type="hidden" name="id" value="<?= $html($orderId) ?>">
    <p><label>Name <input name="name" required></label> <label>E-mail <input name="email" type="email" required></label></p>
    <p>
        <select name="product">
<?php foreach (Order::PRICES as $product => $cents) : ?>
            <option value="<?= $html($product) ?>"><?= $html($product) ?>, <?= $euros($cents) ?></option>
<?php endforeach ?>
        </select>
        <input name="quantity" type="number" min="1" max="20" value="1">
        to <select name="country">
<?php foreach (Order::COUNTRIES as $country) : ?>
            <option><?= $html($country) ?></option>
<?php endforeach ?>
        </select>
        <label><input name="express" type="checkbox" value="1"> express</label>
        <button>Order</button>
    </p>
</form>
<h2>Latest orders</h2>
<ul>
<?php foreach ($latest as $row) : ?>
    <li><?= $html("{$row['placed_at']}: {$row['quantity']} × {$row['product']} for {$row['name']}") ?>, <?= $euros((int) $row['total_cents']) ?></li>
<?php endforeach ?>
</ul>
</body>
</html>
