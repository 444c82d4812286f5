"""converge moves a MySQL 8 database to PostgreSQL and proves that nothing was lost."""

__version__ = "0.1.0"
