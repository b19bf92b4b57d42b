"""Airflow DAG: what a day of Millrace needs once it is over, by the command line, for where Airflow has the schedule.

Copy this file into Airflow's `dags` folder (Airflow 3). A worker needs a checkout, whose folder the Airflow variable
`millrace_checkout` names, and the stack's settings in its environment: MILLRACE_HOME on the stack's own machine, else
MILLRACE_POSTGRES_URL, MILLRACE_LOG_PATH and what mail needs (docs/reports.md). A stack does all of this by itself as
well; both may, since what is done already is not done again.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

MILLRACE = "{{ var.value.get('millrace_checkout', '/opt/millrace') }}/millrace"

with DAG(
    dag_id="millrace_daily",
    description="Verify a day against the event log, write gold tables, report it, put files together.",
    schedule="0 2 * * *",  # two hours after midnight: carts and sessions of the day are over
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=10), "execution_timeout": timedelta(hours=2)},
    tags=["millrace"],
) as dag:
    # Differences are exit code 1 and are not tried again: they are a fault to be looked at.
    verify = BashOperator(
        task_id="verify",
        bash_command=f"{MILLRACE} verify --from {{{{ macros.ds_add(ds, -1) }}}} --to {{{{ ds }}}} --json",
        retries=0,
    )
    gold = BashOperator(task_id="gold", bash_command=f"{MILLRACE} gold --json")
    report = BashOperator(
        task_id="report",
        bash_command=f"{MILLRACE} report --day {{{{ macros.ds_add(ds, -1) }}}} --format json --email",
    )
    compact = BashOperator(task_id="compact", bash_command=f"{MILLRACE} compact --json")
    verify >> gold >> compact
    verify >> report
