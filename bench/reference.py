"""The bare asyncio script on the SDK that the program is measured against: no journal, no retries, no checks.

python -m bench.reference SEEDS BASE_URL CONCURRENCY
"""

import asyncio
import json
import sys

import openai


async def main(seeds: str, base_url: str, concurrency: int) -> None:
    client = openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0)
    slots = asyncio.Semaphore(concurrency)

    async def ask(kind: str, text: str) -> str:
        async with slots:
            messages = [{"role": "user", "content": text}]
            completion = await client.chat.completions.create(
                model="bench", messages=messages, temperature=0, extra_headers={"X-Stage": kind}
            )
        return completion.choices[0].message.content

    async def row(instruction: str) -> dict[str, str]:
        reply = await ask("evolve", f"Make it harder.\n#Instruction#:\n{instruction}")
        evolved = reply.rpartition("#Finally Rewritten Instruction#:")[2].strip()
        return {"instruction": evolved, "response": await ask("respond", evolved)}

    with open(seeds, encoding="utf-8") as file:
        instructions = [json.loads(line)["instruction"] for line in file]
    rows = await asyncio.gather(*map(row, instructions))
    with open("reference.json", "w", encoding="utf-8") as file:
        json.dump(rows, file, ensure_ascii=False)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
