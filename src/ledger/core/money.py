"""Money as integer minor units (cents), and decimals as exact fractions. No floats.

Source: ISO 4217 (active currencies and the decimals of their minor unit).
"""

from __future__ import annotations

import re
from fractions import Fraction

#: the largest amount of one purchase, in minor units
MAX_AMOUNT = 10**15

_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD
    CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ
    GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA
    MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR
    RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD
    TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG""",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
#: decimals of each currency's minor unit
CURRENCIES = {code: decimals for decimals, codes in _DECIMALS.items() for code in codes.split()}

_DECIMAL = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)


def parse_decimal(text: str) -> Fraction | None:
    """The exact value of a plain decimal such as `12` or `1.25`; None when it is not one."""
    return Fraction(text) if _DECIMAL.fullmatch(text) else None


def format_minor(amount: int, currency: str) -> str:
    """`12.99 EUR` of 1299 minor units."""
    decimals = CURRENCIES[currency]
    if not decimals:
        return f"{amount} {currency}"
    sign = "-" if amount < 0 else ""
    whole, part = divmod(abs(amount), 10**decimals)
    return f"{sign}{whole}.{part:0{decimals}d} {currency}"
