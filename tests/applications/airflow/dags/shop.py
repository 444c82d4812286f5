"""A DAG whose runs leave something in most tables."""

from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule="@daily", start_date=datetime(2024, 1, 1), catchup=False, tags=["shop", "büro"])
def shop():
    @task
    def count():
        return {"rows": 3, "ü": [1.5, None]}

    @task
    def tell(seen):
        print(seen)

    tell(count())


shop()
