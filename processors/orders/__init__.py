"""orders: compares expected payments with observed ones and reports overdue payments."""
