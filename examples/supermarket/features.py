"""The 100 features: what is known of one shop in the evening, about tomorrow.

Everything is made from till receipts (one row a product sold), the list of promotions a week and the
list of coupon campaigns. A feature of a day uses that day and those before it, and of the day to be
predicted only what is known beforehand: the calendar, the promotions printed for its week, campaigns.
"""

import numpy as np
import pandas as pd

DEPARTMENTS = {
    "grocery": ["GROCERY"],
    "drug": ["DRUG GM"],
    "produce": ["PRODUCE"],
    "meat": ["MEAT", "MEAT-PCKGD"],
    "deli": ["DELI", "SALAD BAR", "CHEF SHOPPE"],
    "pastry": ["PASTRY"],
    "fish": ["SEAFOOD", "SEAFOOD-PCKGD"],
    "other": [],  # all the rest
}
# First hour of each band of the day, local time; the last runs to midnight.
HOURS = [0, 8, 10, 12, 14, 16, 18, 20]
HOLIDAYS = pd.to_datetime([
    "2017-01-01", "2017-01-16", "2017-02-14", "2017-02-20", "2017-04-16", "2017-05-14", "2017-05-29",
    "2017-07-04", "2017-09-04", "2017-10-09", "2017-10-31", "2017-11-11", "2017-11-23", "2017-12-24",
    "2017-12-25", "2017-12-31", "2018-01-01",
])
DAYS = pd.date_range("2017-01-01", "2017-12-31", freq="D")


def read_receipts(folder):
    """One row a basket: shop, day, hour, money, items and which departments it touched."""
    lines = pd.read_parquet(folder / "transactions.parquet", columns=[
        "store_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp"])
    departments = pd.read_parquet(folder / "products.parquet", columns=["product_id", "department"])
    group_of = {name: group for group, names in DEPARTMENTS.items() for name in names}
    group = departments.set_index("product_id").department.map(group_of).fillna("other")
    lines["department"] = lines.product_id.map(group).fillna("other")
    baskets = lines.groupby("basket_id").agg(
        shop=("store_id", "first"), time=("transaction_timestamp", "first"),
        money=("sales_value", "sum"), items=("quantity", "size"))
    # The tills' clock is UTC; the shops keep the hours of the eastern United States.
    local = baskets.time.dt.tz_localize("UTC").dt.tz_convert("America/New_York").dt.tz_localize(None)
    baskets["day"], baskets["hour"] = local.dt.normalize(), local.dt.hour
    touched = pd.crosstab(lines.basket_id, lines.department).gt(0)
    return baskets.drop(columns="time").join(touched)


def read_promotions(folder, shops):
    """By (shop, week): products on display, on the mailer, and on the mailer's front page."""
    rows = pd.read_parquet(folder / "promotions.parquet", filters=[("store_id", "in", list(shops))],
                           columns=["store_id", "week", "display_location", "mailer_location"])
    flags = pd.DataFrame({
        "shop": rows.store_id, "week": rows.week.astype(int),
        "displayed": rows.display_location.astype(str) != "0",
        "mailed": rows.mailer_location.astype(str) != "0",
        "front_page": rows.mailer_location.astype(str) == "D"})
    return flags.groupby(["shop", "week"]).sum()


def busiest(baskets, count):
    return list(baskets.shop.value_counts().index[:count])


def table(rows, shops):
    """Counts by day and shop, nought where nobody came."""
    counts = rows.groupby(["day", "shop"]).size().unstack(fill_value=0)
    return counts.reindex(index=DAYS, columns=shops, fill_value=0).astype(float)


def calendar(target):
    """Features of the day to be predicted; one row a day of DAYS."""
    weekday = target.dayofweek
    columns = {f"weekday_{d}": weekday == d for d in range(7)}
    to_next = np.array([min((h - t).days for h in HOLIDAYS if h >= t) if t <= HOLIDAYS[-1] else 60
                        for t in target])
    since = np.array([min((t - h).days for h in HOLIDAYS if h <= t) for t in target])
    angle = 2 * np.pi * target.dayofyear / 365.25
    columns |= {
        "month": target.month, "day_of_month": target.day,
        "year_sin": np.sin(angle), "year_cos": np.cos(angle),
        "weekend": weekday >= 5, "payday": (target.day <= 2) | ((target.day >= 15) & (target.day <= 16)),
        "holiday": to_next == 0, "eve_of_holiday": to_next == 1, "after_holiday": since == 1,
        "days_to_holiday": np.minimum(to_next, 30), "days_since_holiday": np.minimum(since, 30)}
    return pd.DataFrame(columns, index=DAYS).astype(float)


def campaign_features(folder, target):
    campaigns = pd.read_parquet(folder / "campaign_descriptions.parquet")
    start, end = pd.to_datetime(campaigns.start_date), pd.to_datetime(campaigns.end_date)
    columns = {}
    for kind in "ABC":
        of_kind = campaigns.campaign_type == f"Type {kind}"
        columns[f"campaigns_{kind.lower()}"] = [
            int((of_kind & (start <= t) & (t <= end)).sum()) for t in target]
    return pd.DataFrame(columns, index=DAYS).astype(float)


def build(folder, shop_count=40):
    """A frame of one row a shop and day: `shop`, `day` (the one predicted), 100 features, `customers`."""
    baskets = read_receipts(folder)
    shops = busiest(baskets, shop_count)
    everyone = baskets.groupby("day").size().reindex(DAYS, fill_value=0).astype(float)
    ours = baskets[baskets.shop.isin(shops)]
    total = table(ours, shops)
    parts = {}  # name -> a frame by day and shop, or a series by day

    for lag in range(14):
        parts[f"customers_lag_{lag}"] = total.shift(lag)
    for week in (3, 4):
        parts[f"customers_weekday_{week}"] = total.shift(7 * week - 1)
    parts["customers_weekday_mean"] = sum(total.shift(7 * week - 1) for week in (1, 2, 3, 4)) / 4
    for days in (7, 14, 28):
        parts[f"customers_mean_{days}"] = total.rolling(days).mean()
    for what in ("std", "min", "max"):
        parts[f"customers_{what}_28"] = getattr(total.rolling(28), what)()

    def lagged(name, counts):
        parts[f"{name}_today"] = counts
        parts[f"{name}_week_ago"] = counts.shift(6)
        parts[f"{name}_mean_7"] = counts.rolling(7).mean()

    for group in DEPARTMENTS:
        lagged(group, table(ours[ours[group]], shops))
    for first, last in zip(HOURS, HOURS[1:] + [24]):
        lagged(f"hours_{first:02}_{last:02}", table(ours[ours.hour.between(first, last - 1)], shops))

    by_day = ours.groupby(["day", "shop"])
    for what in ("money", "items"):
        sums = by_day[what].sum().unstack(fill_value=0).reindex(index=DAYS, columns=shops, fill_value=0)
        parts[f"{what}_mean_7"] = sums.rolling(7).mean()
    parts["all_shops_today"], parts["all_shops_week_ago"] = everyone, everyone.shift(6)
    parts["all_shops_mean_28"] = everyone.rolling(28).mean()

    target = DAYS + pd.Timedelta(days=1)
    promotions = read_promotions(folder, shops)
    week = pd.Series((np.arange(len(DAYS)) + 1) // 7 + 1, index=DAYS)  # the receipts' week of `target`
    for what in ("displayed", "mailed", "front_page"):
        by_week = promotions[what].unstack("shop").reindex(columns=shops).fillna(0)
        parts[f"products_{what}"] = by_week.reindex(week.values).fillna(0).set_index(DAYS)
    day_only = pd.concat([calendar(target), campaign_features(folder, target)], axis=1)
    parts |= {name: day_only[name] for name in day_only}

    def column(part):  # day-major, shop-minor
        values = part.to_numpy(float)
        return (values if values.ndim == 2 else np.repeat(values[:, None], len(shops), axis=1)).ravel()

    frame = pd.DataFrame({name: column(part) for name, part in parts.items()})
    frame.insert(0, "shop", np.tile(shops, len(DAYS)))
    frame.insert(1, "day", np.repeat(target, len(shops)))
    frame["customers"] = column(total.shift(-1))
    return frame.dropna().reset_index(drop=True)


def names(frame):
    return [name for name in frame.columns if name not in ("shop", "day", "customers")]
