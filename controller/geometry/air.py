"""Refractive index of moist air by Ciddor's equation.

P. E. Ciddor, Applied Optics 35, 1566 (1996), in the form and with the constants that NIST publishes in its
Engineering Metrology Toolbox (Stone and Zimmerman), whose saturation pressure is IAPWS-IF97 over water, and over ice
below 0 degrees C.
"""

from __future__ import annotations

import math

GAS_CONSTANT = 8.314472  # J/(mol K), as the equation was fitted
WATER_KG_MOL = 0.018015
CO2_PPM = 450.0


def refractive_index(
    pressure_hpa: float, temperature_c: float, relative_humidity: float, wavelength_um: float
) -> float:
    """Phase index of air: pressure in hPa, humidity 0..1, vacuum wavelength 0.3-1.7 µm."""
    t, kelvin, pressure = temperature_c, temperature_c + 273.15, pressure_hpa * 100.0
    water = vapour_pressure_hpa(pressure_hpa, t, relative_humidity) / pressure_hpa
    s = wavelength_um**-2
    dry = 1e-8 * (5792105.0 / (238.0185 - s) + 167917.0 / (57.362 - s)) * (1 + 5.34e-7 * (CO2_PPM - 450.0))
    vapour = 1.022e-8 * (295.235 + 2.6422 * s - 0.03238 * s**2 + 0.004028 * s**3)
    air_kg_mol = 0.0289635 + 1.2011e-8 * (CO2_PPM - 400.0)
    z = _compressibility(pressure, t, kelvin, water)
    standard_density = 101325.0 * air_kg_mol / (0.9995922115 * GAS_CONSTANT * 288.15)
    air_density = (1 - water) * pressure * air_kg_mol / (z * GAS_CONSTANT * kelvin)
    vapour_density = water * pressure * WATER_KG_MOL / (z * GAS_CONSTANT * kelvin)
    return 1 + air_density / standard_density * dry + vapour_density / 0.00985938 * vapour


def vapour_pressure_hpa(pressure_hpa: float, temperature_c: float, relative_humidity: float) -> float:
    """Partial pressure of water in air, hPa."""
    enhancement = _enhancement(pressure_hpa * 100.0, temperature_c)
    return relative_humidity * enhancement * _saturation_pa(temperature_c + 273.15) / 100.0


def _enhancement(pressure: float, t: float) -> float:
    return 1.00062 + 3.14e-8 * pressure + 5.6e-7 * t**2


def _compressibility(pressure: float, t: float, kelvin: float, water: float) -> float:
    ratio = pressure / kelvin
    first = 1.58123e-6 - 2.9331e-8 * t + 1.1043e-10 * t**2
    second = (5.707e-6 - 2.051e-8 * t) * water + (1.9898e-4 - 2.376e-6 * t) * water**2
    return 1 - ratio * (first + second) + ratio**2 * (1.83e-11 - 0.765e-8 * water**2)


def _saturation_pa(kelvin: float) -> float:
    if kelvin < 273.15:  # over ice
        theta = kelvin / 273.16
        return 611.657 * math.exp(-13.928169 * (1 - theta**-1.5) + 34.7078238 * (1 - theta**-1.25))
    omega = kelvin - 2.38555575678e-1 / (kelvin - 6.50175348448e2)
    a = omega**2 + 1.16705214528e3 * omega - 7.24213167032e5
    b = -1.70738469401e1 * omega**2 + 1.20208247025e4 * omega - 3.23255503223e6
    c = 1.49151086135e1 * omega**2 - 4.82326573616e3 * omega + 4.05113405421e5
    x = -b + math.sqrt(b * b - 4 * a * c)
    return 1e6 * (2 * c / x) ** 4
