"""PyMySQL in place of mysqlclient, which has to be compiled; Airflow registers a function of the latter."""

import sys

import pymysql
from pymysql import converters

pymysql.install_as_MySQLdb()
converters.DateTime2literal = converters.escape_datetime
sys.modules["MySQLdb.converters"] = converters
